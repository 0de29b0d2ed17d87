--! id = "bank.customers-not-fewer"
--! title = "There are at least as many customers as when the data was known good"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["customers"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "< baseline"
--! baseline = "rows.customers"
--! timeout = "15m"
SELECT COUNT(*) AS n FROM customers
