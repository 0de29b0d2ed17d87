//! The rights that a reader of this database needs, as statements for the administrator, and no more than that: asked of the database where
//! it can be reached, in a general form where it cannot.
//!
//! Not here: what a reader holds (`rights::mysql_held`), what catalogues say (`rights::postgres`, `rights::mysql`).

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::verify::sql::connect::access::{Access, database_name, not_sql};
use crate::verify::sql::database::Database;
use crate::verify::sql::rights::spelling::{Account, in_comment, pattern};
use crate::verify::sql::rows::table::double_quoted;

/// Statements, and comments between them.
#[derive(Debug)]
pub struct Grants {
    /// One a line; what begins with `--` is a comment.
    pub statements: Vec<String>,
    /// Why the database itself was not asked: then they are a general form.
    pub not_asked: Option<Failure>,
}

/// The statements that let `user` read the database at `url`; of MySQL and MariaDB `user` or `user@host`.
///
/// # Errors
/// Where the URL names no SQL database, or its options are wrong.
pub async fn needed(url: &SourceUrl, access: &Access, user: &str) -> Result<Grants, Failure> {
    let general = general(url, user)?;
    let asked = match Database::open(url, access).await {
        Ok(mut db) => {
            let asked = db.grants(user).await;
            db.close().await;
            asked
        }
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(statements) => Ok(Grants { statements, not_asked: None }),
        Err(failure) if failure.kind == FailureKind::Invalid => Err(failure),
        Err(failure) => {
            let why = format!("-- a general form, since the database itself could not be asked: {}", in_comment(&failure.message));
            Ok(Grants { statements: std::iter::once(why).chain(general).collect(), not_asked: Some(failure) })
        }
    }
}

/// The statements for a database of which nothing is known but its name.
fn general(url: &SourceUrl, user: &str) -> Result<Vec<String>, Failure> {
    let database = database_name(url)?;
    Ok(match url {
        SourceUrl::Postgres { .. } => {
            let (user, database) = (double_quoted(user), double_quoted(&database));
            vec![
                format!("GRANT CONNECT ON DATABASE {database} TO {user};"),
                "-- for each schema with tables or sequences:".to_owned(),
                format!("GRANT USAGE ON SCHEMA public TO {user};"),
                format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user};"),
                format!("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {user};"),
                "-- where tables have row-level security, which would hide rows:".to_owned(),
                format!("-- ALTER ROLE {user} BYPASSRLS;"),
                "-- where there are large objects:".to_owned(),
                format!("-- GRANT SELECT ON pg_catalog.pg_largeobject TO {user};"),
            ]
        }
        SourceUrl::Mysql { .. } => {
            let user = Account::of(user).to_string();
            vec![
                format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {}.* TO {user};", pattern(&database)),
                "-- for the bodies of routines (MariaDB before 11.3, MySQL 5.7):".to_owned(),
                format!("-- GRANT SELECT ON mysql.proc TO {user};"),
                "-- the same from MariaDB 11.3 on, and from MySQL 8.0.20 on:".to_owned(),
                format!("-- GRANT SHOW CREATE ROUTINE ON {}.* TO {user};", pattern(&database)),
                format!("-- GRANT SHOW_ROUTINE ON *.* TO {user};"),
                "-- for the position in the binary log (MariaDB: BINLOG MONITOR; MySQL: REPLICATION CLIENT):".to_owned(),
                format!("GRANT REPLICATION CLIENT ON *.* TO {user};"),
            ]
        }
        SourceUrl::Sqlite { path } => {
            vec![
                format!("-- read permission on {} and its -wal file; nothing is written", in_comment(&path.display().to_string())),
                "-- in rollback-journal mode whoever writes to it waits as long as it is read: read a copy, or set journal_mode = WAL"
                    .to_owned(),
            ]
        }
        other => return Err(not_sql(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let all = general(&"postgres://h/crm".parse().unwrap(), "re\"ader").unwrap().join("\n");
        assert!(all.contains("ON DATABASE \"crm\" TO \"re\"\"ader\""), "{all}");
        let all = general(&"mysql://h/c_rm".parse().unwrap(), "o'neil").unwrap().join("\n");
        assert!(all.contains("`c\\_rm`.* TO 'o''neil'@'%'"), "{all}");
        assert!(general(&"dir:/x".parse().unwrap(), "u").is_err());
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_asked_gets_the_general_form_and_says_so() {
        let grants = needed(&"sqlite:/nowhere/at/all.db".parse().unwrap(), &Access::default(), "reader").await.unwrap();
        assert_eq!(grants.not_asked.unwrap().kind, FailureKind::Absent);
        assert!(grants.statements[0].starts_with("-- a general form") && grants.statements[1].contains("/nowhere/at/all.db"));
    }
}
