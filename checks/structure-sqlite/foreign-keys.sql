--! id = "structure.sqlite-foreign-keys"
--! title = "PRAGMA foreign_key_check finds nothing"
--! engines = ["sqlite"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["child", "child_rowid", "parent"]
--! timeout = "15m"
--! looks_at = "SELECT COUNT(*) FROM sqlite_schema s JOIN pragma_foreign_key_list(s.name) WHERE s.type = 'table'"
SELECT "table" AS child, rowid AS child_rowid, parent FROM pragma_foreign_key_check
