--! id = "bank.orphan-accounts"
--! title = "Every account belongs to a customer"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["accounts", "customers"]
--! columns = ["accounts.id", "accounts.customer_id", "customers.id"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["account_id", "customer_id"]
--! timeout = "15m"
SELECT a.id AS account_id, a.customer_id AS customer_id
FROM accounts a
LEFT JOIN customers c ON c.id = a.customer_id
WHERE c.id IS NULL
