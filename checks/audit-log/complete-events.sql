--! id = "audit.complete-events"
--! title = "Every event says who did what and when"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["events"]
--! columns = ["events.id", "events.at", "events.actor", "events.action"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["event_id"]
--! timeout = "15m"
SELECT id AS event_id FROM events
WHERE id IS NULL OR at IS NULL OR LENGTH({exact:at}) = 0 OR actor IS NULL OR LENGTH(TRIM({exact:actor})) = 0 OR action IS NULL OR LENGTH(TRIM({exact:action})) = 0
