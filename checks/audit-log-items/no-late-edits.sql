--! id = "audit-items.no-late-edits"
--! title = "No event was edited after its day"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.pk", "items.sk", "items.at", "items.updated_at"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! timeout = "15m"
SELECT pk, sk FROM items
WHERE updated_at IS NOT NULL AND (at IS NULL OR date(updated_at) IS NULL OR substr(updated_at, 1, 10) > substr(at, 1, 10))
