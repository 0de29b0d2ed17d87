--! id = "audit-items.in-order"
--! title = "Within an actor numbers go up by one, and later numbers are not earlier events"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.actor", "items.seq", "items.at"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! timeout = "15m"
-- A number of more digits than an INTEGER of SQLite holds, of a fraction or of none is not the text that it was read from.
SELECT actor, seq FROM (
  SELECT actor, seq, at, CAST(seq AS INTEGER) AS n,
    CAST(seq AS INTEGER) - LAG(CAST(seq AS INTEGER)) OVER (PARTITION BY actor ORDER BY CAST(seq AS INTEGER), at) AS step,
    LAG(at) OVER (PARTITION BY actor ORDER BY CAST(seq AS INTEGER), at) AS before
  FROM items
) AS steps WHERE seq IS NULL OR CAST(n AS TEXT) <> CAST(seq AS TEXT) OR step <> 1 OR at IS NULL OR at < before
