--! id = "audit.no-gaps"
--! title = "No number is missing or there twice between the first event and the last"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["events"]
--! columns = ["events.id"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["event_id"]
--! timeout = "15m"
-- Each number beside the one before it: a number that is there twice makes up for none that is missing, and none is absent.
SELECT event_id FROM (SELECT id AS event_id, LAG(id) OVER (ORDER BY id) AS before_it FROM events) ordered
WHERE event_id IS NULL OR event_id - before_it <> 1
