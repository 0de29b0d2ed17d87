--! id = "directory-app.prices"
--! title = "No booking is given away or priced below zero"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! limit = 20
--! show = ["booking_id"]
--! timeout = "15m"
SELECT id AS booking_id
FROM bookings
WHERE price_minor <= 0
ORDER BY id;
