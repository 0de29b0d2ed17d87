//! What a reader of this MySQL or MariaDB database needs, as the server names its rights.

use crate::verify::sql::rights::mysql_held::ROUTINES;
use crate::verify::sql::rights::spelling::{Account, in_comment, pattern};
use crate::verify::sql::rows::table::backticked;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::WireSession;

/// The statements for `user`, which may name a host.
pub async fn needed(session: &mut WireSession, database: &str, user: &str) -> Result<Vec<String>, WireError> {
    let account = Account::of(user);
    let known: Vec<String> = session.ask("SHOW PRIVILEGES", &[]).await?.iter().filter_map(|row| row.text(0)).collect();
    let knows = |right: &str| known.iter().any(|name| name.eq_ignore_ascii_case(right));
    // With partial revokes a name is no pattern: then it stands for itself.
    let on = if is_on(session, "SELECT CAST(@@partial_revokes AS CHAR)").await { backticked(database) } else { pattern(database) };
    let mut lines = Vec::new();
    let there = session.ask("SELECT User FROM mysql.user WHERE User = ? AND Host = ?", &[&account.name, &account.host]).await;
    if !there.is_ok_and(|rows| !rows.is_empty()) {
        lines.push(format!("-- where it does not exist yet: CREATE USER {} IDENTIFIED BY '…';", in_comment(&account.to_string())));
    }
    let mut rights = vec!["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];
    rights.extend(knows(ROUTINES).then_some(ROUTINES));
    lines.push(format!("GRANT {} ON {on}.* TO {account};", rights.join(", ")));
    if knows("SHOW_ROUTINE") {
        lines.push(format!("GRANT SHOW_ROUTINE ON *.* TO {account};"));
    } else if !knows(ROUTINES) {
        lines.push("-- the bodies of routines are shown to readers of this table only:".to_owned());
        lines.push(format!("GRANT SELECT ON mysql.proc TO {account};"));
    }
    if is_on(session, "SELECT CAST(@@log_bin AS CHAR)").await {
        lines.push("-- for the position in the binary log:".to_owned());
        lines.push(format!("GRANT REPLICATION CLIENT ON *.* TO {account};"));
    }
    lines.push(
        "-- grants of others are shown to readers of the database mysql only, which holds password hashes too: they are left out"
            .to_owned(),
    );
    Ok(lines)
}

/// Whether a variable is 1, which MariaDB spells `ON` as a text; a server that does not know it has it off.
async fn is_on(session: &mut WireSession, question: &str) -> bool {
    let value = session.ask(question, &[]).await.ok().and_then(|rows| rows.first().and_then(|row| row.text(0)));
    value.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("ON"))
}
