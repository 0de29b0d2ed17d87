--! id = "structure.mysql-foreign-keys-have-indexes"
--! title = "Every foreign key still has the index that InnoDB needs for it"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["table_name", "constraint_name"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL"
SELECT k.TABLE_NAME AS table_name, k.CONSTRAINT_NAME AS constraint_name
FROM information_schema.KEY_COLUMN_USAGE k
WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL AND k.ORDINAL_POSITION = 1
  AND NOT EXISTS (SELECT 1 FROM information_schema.STATISTICS s
                  WHERE s.TABLE_SCHEMA = k.TABLE_SCHEMA AND s.TABLE_NAME = k.TABLE_NAME AND s.COLUMN_NAME = k.COLUMN_NAME AND s.SEQ_IN_INDEX = 1)
ORDER BY 1, 2
