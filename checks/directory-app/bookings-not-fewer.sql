--! id = "directory.bookings-not-fewer"
--! title = "There are at least as many bookings as when the data was known good"
--! engines = ["sqlite"]
--! requires = ["bookings"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "< baseline"
--! baseline = "rows.bookings"
--! timeout = "15m"
SELECT COUNT(*) AS n FROM bookings
