--! id = "directory.artist-names"
--! title = "Every artist has a name and a city"
--! engines = ["sqlite"]
--! requires = ["artists"]
--! kind = "violations"
--! severity = "minor"
--! error_if = "> 0"
--! show = ["artist_id"]
--! timeout = "15m"
SELECT id AS artist_id FROM artists WHERE trim(name) = '' OR trim(city) = ''
