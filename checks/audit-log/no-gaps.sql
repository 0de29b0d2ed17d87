--! id = "audit.no-gaps"
--! title = "No number is missing between the first event and the last"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["events"]
--! columns = ["events.id"]
--! kind = "scalar"
--! severity = "critical"
--! error_if = "!= 0"
--! timeout = "15m"
SELECT MAX(id) - MIN(id) + 1 - COUNT(*) AS missing FROM events
