--! id = "bank.accounts-have-customers"
--! title = "No account without its customer"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["accounts", "customers"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["account_id"]
--! timeout = "15m"
SELECT a.id AS account_id
FROM accounts a
WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = a.customer_id)
ORDER BY a.id;
