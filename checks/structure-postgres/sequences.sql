--! id = "structure.postgres-sequences"
--! title = "No sequence has reached its end"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["schema", "name"]
--! timeout = "15m"
--! privileged = true
SELECT schemaname AS schema, sequencename AS name
FROM pg_catalog.pg_sequences
WHERE NOT cycle AND ((increment_by > 0 AND last_value >= max_value) OR (increment_by < 0 AND last_value <= min_value))
