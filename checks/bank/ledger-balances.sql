--! id = "bank.ledger-balances"
--! title = "Every account's balance is the sum of its transactions"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["accounts", "transactions"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["account_id"]
--! timeout = "15m"
--! controls = ["SOC2:A1.3", "NIST:SI-7"]
SELECT a.id AS account_id
FROM accounts a
LEFT JOIN (SELECT account_id, SUM(amount_minor) AS booked FROM transactions GROUP BY account_id) t ON t.account_id = a.id
WHERE a.balance_minor <> COALESCE(t.booked, 0)
ORDER BY a.id;
