--! id = "bank.freshness"
--! title = "The newest booking is at most 26 hours older than the recovery point"
--! engines = ["postgres"]
--! requires = ["transactions"]
--! kind = "freshness"
--! severity = "critical"
--! error_if = "> 26h"
--! timeout = "15m"
SELECT CAST(EXTRACT(EPOCH FROM MAX(booked_at)) AS BIGINT) AS newest FROM transactions;
