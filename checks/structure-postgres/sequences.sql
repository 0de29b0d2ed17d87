--! id = "structure-postgres.sequences"
--! title = "No sequence has used up its range"
--! engines = ["postgres"]
--! requires = []
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["sequence_name"]
--! timeout = "15m"
SELECT schemaname || '.' || sequencename AS sequence_name
FROM pg_catalog.pg_sequences
WHERE last_value IS NOT NULL AND NOT cycle
  AND CASE WHEN increment_by > 0 THEN last_value > max_value - increment_by ELSE last_value < min_value - increment_by END
ORDER BY 1;
