--! id = "structure.mysql-indexes"
--! title = "The indexes are those that there were when the data was known good"
--! engines = ["mysql", "mariadb"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "!= baseline"
--! baseline_optional = true
--! timeout = "15m"
-- A number that hangs on the name, place, column and kind of each: one that is gone is not made up for by another that is new.
SELECT COALESCE(SUM(CAST(CONV(SUBSTRING(SHA2(CONCAT_WS('/', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COALESCE(COLUMN_NAME, ''), COALESCE(SUB_PART, ''), NON_UNIQUE, INDEX_TYPE), 256), 1, 15), 16, 10) AS DECIMAL(20, 0))), 0) AS fingerprint
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE()
