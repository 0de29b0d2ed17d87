--! id = "directory.freshness"
--! title = "The newest booking starts at most 60 days ago"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings"]
--! columns = ["bookings.starts_at"]
--! kind = "freshness"
--! severity = "minor"
--! error_if = "> 60d"
--! timeout = "15m"
SELECT MAX(starts_at) AS newest FROM bookings
