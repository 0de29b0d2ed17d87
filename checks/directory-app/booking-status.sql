--! id = "directory-app.booking-status"
--! title = "Every booking has one of the known states"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["booking_id", "status"]
--! timeout = "15m"
SELECT id AS booking_id, status
FROM bookings
WHERE status NOT IN ('requested', 'confirmed', 'completed', 'cancelled')
ORDER BY id;
