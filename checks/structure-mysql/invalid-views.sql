--! id = "structure.mysql-invalid-views"
--! title = "Every view resolves against the tables that are there"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["view_name"]
--! timeout = "15m"
SELECT TABLE_NAME AS view_name
FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'VIEW' AND TABLE_COMMENT LIKE '%references invalid table%'
ORDER BY 1
