--! id = "audit-items.continuous-days"
--! title = "No day without an event between the first and the last"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.at"]
--! kind = "scalar"
--! severity = "major"
--! error_if = "!= 0"
--! timeout = "15m"
SELECT CAST(julianday(MAX(substr(at, 1, 10))) - julianday(MIN(substr(at, 1, 10))) AS INTEGER) + 1 - COUNT(DISTINCT substr(at, 1, 10)) AS missing FROM items
