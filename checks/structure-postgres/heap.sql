--! id = "structure.postgres-heap"
--! title = "amcheck finds nothing wrong in any table (verify_heapam)"
--! engines = ["postgres"]
--! requires_functions = ["verify_heapam"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["relation", "block", "item", "attribute", "finding"]
--! timeout = "1h"
--! privileged = true
WITH heaps AS MATERIALIZED (
  SELECT c.oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_am a ON a.oid = c.relam
  WHERE c.relkind IN ('r', 'm', 't') AND a.amname = 'heap' AND c.relpersistence <> 't'
)
SELECT h.oid::pg_catalog.regclass::text AS relation, v.blkno AS block, v.offnum AS item, v.attnum AS attribute, v.msg AS finding
FROM heaps h CROSS JOIN LATERAL {verify_heapam}(h.oid::pg_catalog.regclass, false, false, 'none'::pg_catalog.text, NULL::bigint, NULL::bigint) v
