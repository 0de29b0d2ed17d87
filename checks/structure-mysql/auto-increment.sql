--! id = "structure.mysql-auto-increment"
--! title = "No AUTO_INCREMENT has reached the end of its column"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["table_name", "column_name"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND EXTRA LIKE '%auto_increment%'"
SELECT t.TABLE_NAME AS table_name, c.COLUMN_NAME AS column_name
FROM information_schema.TABLES t
JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.EXTRA LIKE '%auto_increment%'
WHERE t.TABLE_SCHEMA = DATABASE() AND t.AUTO_INCREMENT >= CASE
  WHEN c.COLUMN_TYPE LIKE 'tinyint%unsigned%' THEN 255 WHEN c.COLUMN_TYPE LIKE 'tinyint%' THEN 127
  WHEN c.COLUMN_TYPE LIKE 'smallint%unsigned%' THEN 65535 WHEN c.COLUMN_TYPE LIKE 'smallint%' THEN 32767
  WHEN c.COLUMN_TYPE LIKE 'mediumint%unsigned%' THEN 16777215 WHEN c.COLUMN_TYPE LIKE 'mediumint%' THEN 8388607
  WHEN c.COLUMN_TYPE LIKE 'bigint%unsigned%' THEN 18446744073709551615 WHEN c.COLUMN_TYPE LIKE 'bigint%' THEN 9223372036854775807
  WHEN c.COLUMN_TYPE LIKE 'int%unsigned%' THEN 4294967295 WHEN c.COLUMN_TYPE LIKE 'int%' THEN 2147483647 END
