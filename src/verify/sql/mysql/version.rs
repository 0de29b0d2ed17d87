//! The oldest servers that are read, and what others are told as.
//!
//! Not here: how a server greets (`wire::mysql::packets`).

use crate::model::failure::{Failure, FailureKind};

/// MySQL 5.7 and MariaDB 10.3 are the oldest that are read; `8.0.36`, `5.5.5-10.11.6-MariaDB`.
pub fn check_version(shown: &str, version: &str) -> Result<(), Failure> {
    let (name, number, oldest) = match version.find("MariaDB") {
        Some(_) => ("MariaDB", version.strip_prefix("5.5.5-").unwrap_or(version), (10, 3)),
        None => ("MySQL", version, (5, 7)),
    };
    let mut parts = number.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= oldest => Ok(()),
        _ => Err(Failure::new(
            FailureKind::Remote,
            format!("{shown}: expected {name} {}.{} or later, found `{}`", oldest.0, oldest.1, version.escape_default()),
        )
        .hint("restore it into a newer server and read it there")),
    }
}

/// What a server is told as that greets in a way of before what is spoken here: by its version where that says it, and else as what it lacks.
pub fn too_old(shown: &str, version: &str, lacks: &str) -> Failure {
    match check_version(shown, version) {
        Err(failure) => Failure { message: format!("{}, {lacks}", failure.message), ..failure },
        Ok(()) => {
            let said = format!("{shown}: too old a protocol: version `{}`, {lacks}", version.escape_default());
            Failure::new(FailureKind::Remote, said)
                .hint("what stands between, such as a proxy, may be older than the server: name the server itself")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        for good in ["8.0.36", "5.7.44-log", "10.11.6-MariaDB-0+deb12u1", "5.5.5-10.4.2-MariaDB", "11.4.1-MariaDB"] {
            assert!(check_version("mysql://h/d", good).is_ok(), "{good}");
        }
        for bad in ["5.6.51", "5.5.5-10.1.48-MariaDB", "10.2.44-MariaDB", "", "new"] {
            let error = check_version("mysql://h/d", bad).unwrap_err();
            assert!(error.kind == FailureKind::Remote && error.message.contains("or later"), "{bad}");
        }
    }

    #[test]
    fn an_old_greeting_is_told_by_the_version_that_it_states() {
        let failure = too_old("mysql://h/d", "5.0.54", "which can 0xa22c");
        assert_eq!(failure.message, "mysql://h/d: expected MySQL 5.7 or later, found `5.0.54`, which can 0xa22c");
        assert!(failure.kind == FailureKind::Remote && failure.hint.unwrap().contains("newer server"));
        let proxy = too_old("mysql://h/d", "8.0.36", "which can 0x200");
        assert!(!proxy.message.contains("expected MySQL") && proxy.hint.unwrap().contains("proxy"), "{}", proxy.message);
    }
}
