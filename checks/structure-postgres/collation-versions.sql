--! id = "structure.postgres-collation-versions"
--! title = "Every collation in use sorts as it did when the indexes were built"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["name", "recorded", "actual"]
--! timeout = "15m"
SELECT n.nspname || '.' || c.collname AS name, c.collversion AS recorded, pg_catalog.pg_collation_actual_version(c.oid) AS actual
FROM pg_catalog.pg_collation c
JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
WHERE c.collversion IS NOT NULL AND c.collversion IS DISTINCT FROM pg_catalog.pg_collation_actual_version(c.oid)
  AND EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attcollation = c.oid AND NOT a.attisdropped)
