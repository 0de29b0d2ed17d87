--! id = "structure.mysql-check-table"
--! title = "CHECK TABLE … EXTENDED finds nothing in any table"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! each = "table"
--! show = ["Table", "Msg_type", "Msg_text"]
--! timeout = "1h"
CHECK TABLE {table} EXTENDED
