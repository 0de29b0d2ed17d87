--! id = "structure-postgres.invalid-indexes"
--! title = "Every index is valid, ready and live"
--! engines = ["postgres"]
--! requires = []
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["index_name"]
--! timeout = "15m"
SELECT indexrelid::regclass::text AS index_name
FROM pg_catalog.pg_index
WHERE NOT (indisvalid AND indisready AND indislive)
ORDER BY 1;
