--! id = "bank.transactions-have-accounts"
--! title = "No transaction without its account"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions", "accounts"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["transaction_id"]
--! timeout = "15m"
SELECT t.id AS transaction_id
FROM transactions t
WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = t.account_id)
ORDER BY t.id;
