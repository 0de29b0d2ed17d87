--! id = "audit-items.in-order"
--! title = "Within an actor numbers go up by one, and later numbers are not earlier events"
--! engines = ["dynamodb"]
--! requires = ["items"]
--! columns = ["items.actor", "items.seq", "items.at"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! timeout = "15m"
SELECT actor, seq FROM (
  SELECT actor, seq, at,
    CAST(seq AS INTEGER) - LAG(CAST(seq AS INTEGER)) OVER (PARTITION BY actor ORDER BY CAST(seq AS INTEGER)) AS step,
    LAG(at) OVER (PARTITION BY actor ORDER BY CAST(seq AS INTEGER)) AS before
  FROM items
) AS steps WHERE seq IS NULL OR step <> 1 OR at < before
