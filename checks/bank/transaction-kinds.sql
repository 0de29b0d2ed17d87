--! id = "bank.transaction-kinds"
--! title = "A credit adds, a debit takes away, and there is nothing else"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions"]
--! columns = ["transactions.id", "transactions.amount_minor", "transactions.kind"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["transaction_id", "kind"]
--! timeout = "15m"
SELECT id AS transaction_id, kind, amount_minor
FROM transactions
WHERE kind IS NULL OR amount_minor IS NULL OR amount_minor * 0 <> 0
  OR ({exact:kind} = 'credit' AND amount_minor < 0) OR ({exact:kind} = 'debit' AND amount_minor >= 0) OR {exact:kind} NOT IN ('credit', 'debit')
