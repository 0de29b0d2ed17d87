--! id = "bank.transactions-not-fewer"
--! title = "There are at least as many transactions as when the data was known good"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "< baseline"
--! baseline = "rows.transactions"
--! timeout = "15m"
SELECT COUNT(*) AS n FROM transactions
