--! id = "vault.digests"
--! title = "Every file has a SHA-256: 64 lower-case hex digits"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["files"]
--! columns = ["files.id", "files.sha256"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["file_id"]
--! timeout = "15m"
SELECT id AS file_id FROM files
WHERE sha256 IS NULL OR LENGTH(sha256) <> 64
  OR LENGTH(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(sha256, '0', ''), '1', ''), '2', ''), '3', ''), '4', ''), '5', ''), '6', ''), '7', ''), '8', ''), '9', ''), 'a', ''), 'b', ''), 'c', ''), 'd', ''), 'e', ''), 'f', '')) > 0
