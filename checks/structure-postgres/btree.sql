--! id = "structure.postgres-btree"
--! title = "amcheck finds nothing wrong in any B-tree, and every row is in its index (bt_index_parent_check)"
--! engines = ["postgres"]
--! requires_functions = ["bt_index_parent_check"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["relation"]
--! timeout = "1h"
--! privileged = true
-- The function raises an error of class XX002 where it finds something: the check then fails with that error.
WITH trees AS MATERIALIZED (
  SELECT c.oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_am a ON a.oid = c.relam
  JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
  WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relpersistence <> 't' AND i.indisvalid AND i.indisready
)
SELECT oid::pg_catalog.regclass::text AS relation FROM trees WHERE {bt_index_parent_check}(oid::pg_catalog.regclass, true)::text IS NULL
