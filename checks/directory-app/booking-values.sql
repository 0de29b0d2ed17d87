--! id = "directory.booking-values"
--! title = "Bookings have a known status, a price that is not negative, and a time"
--! engines = ["sqlite"]
--! requires = ["bookings"]
--! columns = ["bookings.id", "bookings.starts_at", "bookings.status", "bookings.price_minor"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["booking_id", "status"]
--! timeout = "15m"
SELECT id AS booking_id, status, price_minor, starts_at
FROM bookings
WHERE status NOT IN ('requested', 'confirmed', 'completed', 'cancelled') OR typeof(price_minor) <> 'integer' OR price_minor < 0 OR datetime(starts_at) IS NULL
