--! id = "structure-postgres.not-valid-constraints"
--! title = "Every constraint has been validated"
--! engines = ["postgres"]
--! requires = []
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["table_name", "constraint_name"]
--! timeout = "15m"
SELECT conrelid::regclass::text AS table_name, conname AS constraint_name
FROM pg_catalog.pg_constraint
WHERE NOT convalidated
ORDER BY 1, 2;
