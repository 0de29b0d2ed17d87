--! id = "structure.postgres-page-checksums"
--! title = "Page checksums are on: without them the server reads a damaged page as if it were sound"
--! engines = ["postgres"]
--! kind = "scalar"
--! severity = "minor"
--! error_if = "> 1"
--! warn_if = "> 0"
--! timeout = "15m"
SELECT CASE current_setting('data_checksums') WHEN 'on' THEN 0 ELSE 1 END AS off
