--! id = "structure.mysql-routines"
--! title = "Every table and procedure that a routine, a trigger or an event names is there"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! each = "routine-reference"
--! show = ["routine", "lacking"]
--! timeout = "15m"
SELECT {name} AS routine, {reference} AS lacking
FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {reference})
  AND NOT EXISTS (SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_NAME = {reference})
