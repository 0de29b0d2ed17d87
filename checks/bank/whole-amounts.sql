--! id = "bank.whole-amounts"
--! title = "Every amount and every balance is a whole number: SQLite would keep anything in such a column"
--! engines = ["sqlite"]
--! requires = ["accounts", "transactions"]
--! columns = ["accounts.id", "accounts.balance_minor", "transactions.id", "transactions.amount_minor"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["account_id", "transaction_id"]
--! timeout = "15m"
SELECT id AS account_id, NULL AS transaction_id FROM accounts WHERE typeof(balance_minor) <> 'integer'
UNION ALL
SELECT NULL, id FROM transactions WHERE typeof(amount_minor) <> 'integer'
