//! Whether a token of IAM opens a database: what RDS checks of it (Amazon RDS User Guide, "IAM database authentication"), the signature by
//! the sandbox's own arithmetic and not by that of the client.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::sandbox::identity::REGION;
use crate::sandbox::wire;

/// How far a client's clock may be ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How long a token holds at most.
const LONGEST_S: i64 = 900;

/// Whether `token` opens a session of `user` at the server on `port` now.
pub fn opens(token: &str, user: &str, port: u16, now: DateTime<Utc>) -> bool {
    let Some((host, query)) = token.split_once("/?") else { return false };
    if !["127.0.0.1", "localhost"].iter().any(|name| host == format!("{name}:{port}")) {
        return false;
    }
    let Ok((scope, asked)) = wire::verify_presigned(host, query) else { return false };
    let of = |name: &str| asked.get(name).map_or("", String::as_str);
    let signed_at = NaiveDateTime::parse_from_str(of("X-Amz-Date"), "%Y%m%dT%H%M%SZ").map(|time| time.and_utc());
    let (Ok(signed_at), Ok(seconds)) = (signed_at, of("X-Amz-Expires").parse::<i64>()) else { return false };
    let holds = (1..=LONGEST_S).contains(&seconds) && signed_at <= now + AHEAD && now < signed_at + TimeDelta::seconds(seconds);
    let day = signed_at.format("%Y%m%d").to_string();
    holds
        && (scope.service.as_str(), scope.region.as_str(), scope.date) == ("rds-db", REGION, day)
        && of("Action") == "connect"
        && of("DBUser") == user
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What botocore 1.44.5 gives for the sandbox's keys (`generate_db_auth_token`, user `reader`, 127.0.0.1:5433, 2026-01-31 02:03:04).
    const TOKEN: &str = concat!(
        "127.0.0.1:5433/?Action=connect&DBUser=reader&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ATTESTORESANDBO",
        "X%2F20260131%2Feu-west-2%2Frds-db%2Faws4_request&X-Amz-Date=20260131T020304Z&X-Amz-Expires=900&X-Amz-SignedHea",
        "ders=host&X-Amz-Signature=05db6e974365f2930fdbd4f5cb2b8572dd9594bc301900917015d358110636f6",
    );

    #[test]
    fn a_token_opens_what_it_was_signed_for() {
        let at: DateTime<Utc> = "2026-01-31T02:03:04Z".parse().unwrap();
        assert!(opens(TOKEN, "reader", 5433, at));
        assert!(opens(TOKEN, "reader", 5433, at + TimeDelta::seconds(899)));
        assert!(!opens(TOKEN, "reader", 5433, at + TimeDelta::seconds(900)), "expired");
        assert!(!opens(TOKEN, "reader", 5433, at - TimeDelta::minutes(6)), "of the future");
        assert!(!opens(TOKEN, "keeper", 5433, at) && !opens(TOKEN, "reader", 5434, at));
        let other = |from: &str, to: &str| TOKEN.replace(from, to);
        for wrong in [
            other("DBUser=reader", "DBUser=keeper"),
            other("Expires=900", "Expires=90000"),
            other("rds-db", "s3"),
            other("eu-west-2", "eu-west-1"),
            other("ATTESTORESANDBOX", "SOMEBODYELSE"),
            other("5433/", "5434/"),
            TOKEN[..TOKEN.len() - 1].to_owned(),
            TOKEN.split("&X-Amz-Signature").next().unwrap().to_owned(),
            String::new(),
        ] {
            assert!(!opens(&wrong, "reader", 5433, at) && !opens(&wrong, "keeper", 5434, at), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,200}") {
            proptest::prop_assert!(!opens(&text, "reader", 5433, Utc::now()));
        }
    }
}
