--! id = "structure.postgres-sequences-behind"
--! title = "No sequence hands out a number that its column already has"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! each = "counter"
--! show = ["sequence"]
--! timeout = "15m"
--! privileged = true
SELECT {name} AS sequence
FROM {counter} s
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.tableoid
WHERE (q.seqincrement > 0 AND (SELECT MAX({column}) FROM {table}) >= s.last_value + CASE WHEN s.is_called THEN q.seqincrement ELSE 0 END::numeric)
   OR (q.seqincrement < 0 AND (SELECT MIN({column}) FROM {table}) <= s.last_value + CASE WHEN s.is_called THEN q.seqincrement ELSE 0 END::numeric)
