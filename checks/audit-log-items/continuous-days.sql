--! id = "audit-items.continuous-days"
--! title = "No day without an event between the first and the last"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.at"]
--! kind = "scalar"
--! severity = "major"
--! error_if = "!= 0"
--! timeout = "15m"
-- What is no day fills no gap, and is one more that is missing.
SELECT CAST(julianday(MAX(day)) - julianday(MIN(day)) AS INTEGER) + 1 - COUNT(DISTINCT day) + COUNT(*) - COUNT(day) AS missing
FROM (SELECT CASE WHEN date(at) = substr(at, 1, 10) THEN date(at) END AS day FROM items) AS days
