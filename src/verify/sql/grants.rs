//! The rights that a reader needs, as statements for the administrator, and no more than that.

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::sql::access::{database_name, not_sql};
use crate::verify::sql::table::{backticked, double_quoted};

/// The statements that let `user` read the database at `url`.
pub fn needed(url: &SourceUrl, user: &str) -> Result<Vec<String>, Failure> {
    let database = database_name(url)?;
    Ok(match url {
        SourceUrl::Postgres { .. } => {
            let (user, database) = (double_quoted(user), double_quoted(&database));
            vec![
                format!("GRANT CONNECT ON DATABASE {database} TO {user};"),
                "-- for each schema with tables:".to_owned(),
                format!("GRANT USAGE ON SCHEMA public TO {user};"),
                format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user};"),
                "-- where tables have row-level security, which would hide rows:".to_owned(),
                format!("-- ALTER ROLE {user} BYPASSRLS;"),
            ]
        }
        SourceUrl::Mysql { .. } => {
            let user = format!("'{}'@'%'", user.replace('\\', "\\\\").replace('\'', "''"));
            vec![
                format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {}.* TO {user};", backticked(&database)),
                "-- for the position in the binary log (MariaDB: BINLOG MONITOR; MySQL: REPLICATION CLIENT):".to_owned(),
                format!("GRANT REPLICATION CLIENT ON *.* TO {user};"),
            ]
        }
        SourceUrl::Sqlite { path } => vec![format!("-- read permission on {} and its -wal file; nothing is written", path.display())],
        other => return Err(not_sql(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let all = needed(&"postgres://h/crm".parse().unwrap(), "re\"ader").unwrap().join("\n");
        assert!(all.contains("ON DATABASE \"crm\" TO \"re\"\"ader\""), "{all}");
        let all = needed(&"mysql://h/crm".parse().unwrap(), "o'neil").unwrap().join("\n");
        assert!(all.contains("`crm`.* TO 'o''neil'@'%'"), "{all}");
        assert!(needed(&"dir:/x".parse().unwrap(), "u").is_err());
    }
}
