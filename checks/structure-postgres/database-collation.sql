--! id = "structure.postgres-database-collation"
--! title = "The database's own collation sorts as it did when the indexes were built"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "major"
--! error_if = "> 0"
--! show = ["name", "recorded", "actual"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM pg_catalog.pg_database d WHERE d.datname = current_database() AND to_jsonb(d)->>'datcollversion' IS NOT NULL"
-- PostgreSQL 15 was the first to record the version; a collation that has none (C, POSIX) never changes.
SELECT datname AS name, datcollversion AS recorded, pg_catalog.pg_database_collation_actual_version(oid) AS actual
FROM pg_catalog.pg_database
WHERE datname = current_database() AND datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(oid)
