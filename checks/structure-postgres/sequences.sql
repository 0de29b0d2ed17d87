--! id = "structure.postgres-sequences"
--! title = "No sequence has reached its end"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! each = "sequence"
--! show = ["name"]
--! timeout = "15m"
--! privileged = true
-- Each is read itself: the view of all sequences shows nothing, instead of an error, to who may not read one.
SELECT {name} AS name
FROM {counter} s
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.tableoid
WHERE NOT q.seqcycle AND ((q.seqincrement > 0 AND s.last_value >= q.seqmax) OR (q.seqincrement < 0 AND s.last_value <= q.seqmin)) AND s.is_called
