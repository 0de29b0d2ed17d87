--! id = "bank.accounts-not-fewer"
--! title = "There are at least as many accounts as when the data was known good"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["accounts"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "< baseline"
--! baseline = "rows.accounts"
--! timeout = "15m"
SELECT COUNT(*) AS n FROM accounts
