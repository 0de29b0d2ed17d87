--! id = "bank.ledger-balances"
--! title = "Every account balance is the sum of its transactions"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["accounts", "transactions"]
--! columns = ["accounts.id", "accounts.balance_minor", "transactions.id", "transactions.account_id", "transactions.amount_minor"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["account_id"]
--! timeout = "15m"
SELECT a.id AS account_id, a.balance_minor AS balance_minor, COALESCE(t.booked_minor, 0) AS booked_minor
FROM accounts a
LEFT JOIN (SELECT account_id, SUM(amount_minor) AS booked_minor FROM transactions GROUP BY account_id) t ON t.account_id = a.id
WHERE a.balance_minor <> COALESCE(t.booked_minor, 0)
