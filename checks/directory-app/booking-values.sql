--! id = "directory.booking-values"
--! title = "Bookings have a known status, a price that is not negative, and a time"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["bookings"]
--! columns = ["bookings.id", "bookings.starts_at", "bookings.status", "bookings.price_minor"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["booking_id", "status"]
--! timeout = "15m"
SELECT id AS booking_id, status, price_minor, starts_at
FROM bookings
WHERE status IS NULL OR {exact:status} NOT IN ('requested', 'confirmed', 'completed', 'cancelled') OR price_minor IS NULL OR price_minor < 0 OR price_minor * 0 <> 0
  OR starts_at IS NULL OR LENGTH({exact:starts_at}) = 0
