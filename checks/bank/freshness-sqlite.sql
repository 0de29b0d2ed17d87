--! id = "bank.freshness"
--! title = "The newest booking is at most 26 hours older than the recovery point"
--! engines = ["sqlite"]
--! requires = ["transactions"]
--! kind = "freshness"
--! severity = "critical"
--! error_if = "> 26h"
--! timeout = "15m"
SELECT CAST(strftime('%s', MAX(booked_at)) AS INTEGER) AS newest FROM transactions;
