--! id = "vault.sizes"
--! title = "No size is unknown or negative, and the digest of nothing is that of empty files and of no others"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["files"]
--! columns = ["files.id", "files.size_bytes", "files.sha256"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["file_id"]
--! timeout = "15m"
SELECT id AS file_id FROM files
WHERE size_bytes IS NULL OR size_bytes < 0 OR size_bytes * 0 <> 0
  OR (size_bytes > 0 AND sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  OR (size_bytes = 0 AND sha256 <> 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
