--! id = "structure.postgres-orphans"
--! title = "Every reference leads to a row"
--! engines = ["postgres"]
--! kind = "violations"
--! severity = "critical"
--! error_if = "> 0"
--! each = "foreign-key"
--! show = ["constraint_name"]
--! timeout = "15m"
SELECT {name} AS constraint_name FROM {child} c LEFT JOIN {parent} p ON {on} WHERE {child_not_null} AND {parent_null}
