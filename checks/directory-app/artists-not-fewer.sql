--! id = "directory.artists-not-fewer"
--! title = "There are at least as many artists as when the data was known good"
--! engines = ["sqlite"]
--! requires = ["artists"]
--! kind = "baseline-scalar"
--! severity = "major"
--! error_if = "< baseline"
--! baseline = "rows.artists"
--! timeout = "15m"
SELECT COUNT(*) AS n FROM artists
