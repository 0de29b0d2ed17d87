--! id = "bank.orphan-transactions"
--! title = "Every transaction belongs to an account"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions", "accounts"]
--! columns = ["transactions.id", "transactions.account_id", "accounts.id"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["transaction_id", "account_id"]
--! timeout = "15m"
SELECT t.id AS transaction_id, t.account_id AS account_id
FROM transactions t
LEFT JOIN accounts a ON a.id = t.account_id
WHERE a.id IS NULL
