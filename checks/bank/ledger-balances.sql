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
-- A balance or an amount that is absent, or no number (NaN times 0 is not 0), is no sum of anything.
SELECT a.id AS account_id, a.balance_minor AS balance_minor, COALESCE(t.booked_minor, 0) AS booked_minor
FROM accounts a
LEFT JOIN (SELECT account_id, SUM(amount_minor) AS booked_minor, COUNT(*) - COUNT(amount_minor) AS unknown
           FROM transactions GROUP BY account_id) t ON t.account_id = a.id
WHERE a.balance_minor IS NULL OR a.balance_minor <> COALESCE(t.booked_minor, 0) OR a.balance_minor * 0 <> 0 OR t.unknown > 0
