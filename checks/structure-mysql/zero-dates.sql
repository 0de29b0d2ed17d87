--! id = "structure.mysql-zero-dates"
--! title = "No date is zero, nor has a month or a day that is"
--! engines = ["mysql", "mariadb"]
--! kind = "violations"
--! severity = "minor"
--! error_if = "> 0"
--! each = "date-column"
--! show = ["column_name"]
--! timeout = "15m"
SELECT {name} AS column_name FROM {table} t WHERE MONTH(t.{column}) = 0 OR DAYOFMONTH(t.{column}) = 0
