--! id = "bank.transaction-signs"
--! title = "A credit is not negative and a debit is negative"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["transaction_id", "kind"]
--! timeout = "15m"
SELECT id AS transaction_id, kind
FROM transactions
WHERE (kind = 'credit' AND amount_minor < 0) OR (kind = 'debit' AND amount_minor >= 0) OR kind NOT IN ('credit', 'debit')
ORDER BY id;
