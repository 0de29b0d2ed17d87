--! id = "audit-items.complete-events"
--! title = "Every item says who did what and when"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.pk", "items.sk", "items.actor", "items.action", "items.at"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! timeout = "15m"
SELECT pk, sk FROM items WHERE at IS NULL OR actor IS NULL OR TRIM(actor) = '' OR action IS NULL OR TRIM(action) = ''
