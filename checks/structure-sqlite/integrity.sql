--! id = "structure.sqlite-integrity"
--! title = "PRAGMA integrity_check finds nothing (CHECK constraints apart: SQLite keeps none of a file that it may only read)"
--! engines = ["sqlite"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! show = ["finding"]
--! timeout = "15m"
SELECT integrity_check AS finding FROM pragma_integrity_check WHERE integrity_check <> 'ok'
