--! id = "directory.orphan-bookings"
--! title = "Every booking belongs to an artist"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings", "artists"]
--! columns = ["bookings.id", "bookings.artist_id", "artists.id"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["booking_id", "artist_id"]
--! timeout = "15m"
SELECT b.id AS booking_id, b.artist_id AS artist_id
FROM bookings b
LEFT JOIN artists a ON a.id = b.artist_id
WHERE a.id IS NULL
