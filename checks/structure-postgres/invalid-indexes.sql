--! id = "structure.postgres-invalid-indexes"
--! title = "No index is invalid or unfinished"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["relation"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM pg_catalog.pg_index WHERE indexrelid >= 16384"
SELECT indexrelid::pg_catalog.regclass::text AS relation FROM pg_catalog.pg_index WHERE NOT indisvalid OR NOT indisready OR NOT indislive
