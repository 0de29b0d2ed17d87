--! id = "bank.freshness"
--! title = "The newest transaction is at most two days old"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["transactions"]
--! kind = "freshness"
--! severity = "major"
--! error_if = "> 48h"
--! warn_if = "> 26h"
--! timeout = "15m"
SELECT MAX(booked_at) AS newest FROM transactions
