--! id = "bank.freshness"
--! title = "The newest booking is at most 26 hours older than the recovery point"
--! engines = ["mysql", "mariadb"]
--! requires = ["transactions"]
--! kind = "freshness"
--! severity = "critical"
--! error_if = "> 26h"
--! timeout = "15m"
SELECT TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', MAX(booked_at)) AS newest FROM transactions;
