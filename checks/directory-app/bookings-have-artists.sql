--! id = "directory-app.bookings-have-artists"
--! title = "No booking without its artist"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings", "artists"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! limit = 20
--! show = ["booking_id"]
--! timeout = "15m"
SELECT b.id AS booking_id
FROM bookings b
WHERE NOT EXISTS (SELECT 1 FROM artists a WHERE a.id = b.artist_id)
ORDER BY b.id;
