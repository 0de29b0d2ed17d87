--! id = "structure.mysql-invalid-views"
--! title = "Every view resolves against the tables that are there"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["view_name"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()"
-- MariaDB opens a view, and sees that it does not resolve, only where more than its comment is asked for: hence TABLE_ROWS.
SELECT TABLE_NAME AS view_name
FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'VIEW' AND TABLE_COMMENT LIKE '%references invalid table%' AND (TABLE_ROWS IS NULL OR TABLE_ROWS >= 0)
ORDER BY 1
