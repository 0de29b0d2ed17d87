--! id = "vault.paths"
--! title = "No two files have one path, and none has none"
--! engines = ["mysql", "mariadb", "postgres", "sqlite"]
--! requires = ["files"]
--! columns = ["files.id", "files.path"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["file_id"]
--! timeout = "15m"
-- Byte for byte: two paths that differ in case or in an accent are two paths, whatever the column's collation.
SELECT file_id
FROM (
  SELECT MIN(file_id) AS file_id, exact_path, COUNT(*) AS times
  FROM (SELECT id AS file_id, {exact:path} AS exact_path FROM files) paths
  GROUP BY exact_path
) grouped
WHERE times > 1 OR exact_path IS NULL OR LENGTH(exact_path) = 0
