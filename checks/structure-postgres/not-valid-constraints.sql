--! id = "structure.postgres-not-valid-constraints"
--! title = "Every constraint has been validated"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "minor"
--! error_if = "> 0"
--! show = ["name", "relation"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM pg_catalog.pg_constraint WHERE conrelid >= 16384 OR contypid >= 16384"
SELECT conname AS name, conrelid::pg_catalog.regclass::text AS relation FROM pg_catalog.pg_constraint WHERE NOT convalidated
