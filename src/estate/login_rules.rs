//! How a restored database is logged in to, as rules: what `credentials` may say, and what tokens of IAM need beside them.
//!
//! Not here: everything else that values mean together (`rules`).

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use crate::estate::mistake::Mistakes;
use crate::estate::rules::{Text, tables, text};
use crate::estate::schema::join;
use crate::estate::source_rules::has_password;
use crate::model::source_url::SourceUrl;

/// Holds every resource to them.
pub fn apply(root: &DeTable<'_>, mistakes: &mut Mistakes<'_>) {
    for (resource, span, path) in tables(root, "", "resource") {
        if let Some(credentials) = text(resource, &path, "credentials") {
            credentials_rule(&credentials, mistakes);
        }
        if let Some(live) = text(resource, &path, "live") {
            live_rule(resource, span.clone(), &path, &live, mistakes);
        }
        match text(resource, &path, "authentication").filter(|authentication| authentication.value == "iam") {
            Some(iam) => iam_rule(resource, span, &path, &iam, mistakes),
            None => {
                if let Some(place) = resource.get("database_user").map(Spanned::span) {
                    let key = join(&path, "database_user");
                    let mistake = mistakes.add(&key, Some(place), format!("`{key}` is for tokens of IAM"));
                    mistake.allowed("beside `authentication = \"iam\"`; a user with a password is named in `credentials`");
                }
            }
        }
    }
}

/// A token is for one user that the source has, goes over verified TLS only, and stands in the place of a password.
fn iam_rule(resource: &DeTable<'_>, span: Range<usize>, path: &str, iam: &Text<'_>, mistakes: &mut Mistakes<'_>) {
    let kind = text(resource, path, "kind").map_or("", |kind| kind.value);
    if !kind.is_empty() && !matches!(kind, "rds-mysql" | "rds-postgres") {
        let mistake = mistakes.add(&iam.path, Some(iam.span.clone()), format!("no token of IAM opens the kind `{kind}`"));
        mistake.found(iam.value).allowed("`iam` for rds-mysql and rds-postgres");
        return;
    }
    let needed = [
        ("database_user", "the user of the source that has the role rds_iam (PostgreSQL) or AWSAuthenticationPlugin (MySQL)"),
        ("tls_ca", "the CA bundle of RDS: a token is a password in the clear, and goes to a verified server only"),
    ];
    for (name, what) in needed.into_iter().filter(|(name, _)| !resource.contains_key(*name)) {
        let mistake =
            mistakes.add(&join(path, name), Some(span.clone()), format!("`{}` is `iam`, and `{path}` has no key `{name}`", iam.path));
        mistake.allowed(what);
    }
    if let Some(place) = resource.get("credentials").map(Spanned::span) {
        let message = format!("`{}` is `iam`, and `{path}` has credentials too", iam.path);
        mistakes.add(&join(path, "credentials"), Some(place), message).allowed("one of them").secret();
    }
}

/// Production is read only as somebody who is named for it, and only where a second is restored.
fn live_rule(resource: &DeTable<'_>, span: Range<usize>, path: &str, live: &Text<'_>, mistakes: &mut Mistakes<'_>) {
    const FORMS: &str = "postgres://HOST[:PORT]/DATABASE or mysql://HOST[:PORT]/DATABASE, without user and password";
    let kind = text(resource, path, "kind").map_or("", |kind| kind.value);
    let scheme = match kind {
        "rds-postgres" => "postgres",
        "rds-mysql" => "mysql",
        _ => "",
    };
    let rest = live.value.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
    if scheme.is_empty()
        || rest.is_none_or(|rest| rest.contains('@'))
        || has_password(live.value)
        || live.value.parse::<SourceUrl>().is_err()
    {
        // What stands there may hold a password: it is not repeated.
        let mistake = mistakes.add(&live.path, Some(live.span.clone()), "the running source of a database is named by its URL");
        mistake.found("something else (not shown)").allowed(FORMS).secret();
    }
    if !resource.contains_key("credentials") {
        let mistake =
            mistakes.add(&join(path, "credentials"), Some(span), format!("`{}` is set, and `{path}` has no key `credentials`", live.path));
        mistake.allowed("env:NAME or file:PATH with USER:PASSWORD of a user of the source who may only read");
    }
}

fn credentials_rule(credentials: &Text<'_>, mistakes: &mut Mistakes<'_>) {
    const FORMS: &str = "env:NAME or file:PATH, which hold USER:PASSWORD";
    let fits = match credentials.value.split_once(':') {
        Some(("env", name)) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            !name.is_empty() && name.bytes().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit())
        }
        Some(("file", path)) => !path.is_empty(),
        _ => false,
    };
    if !fits {
        // What stands there may be the secret itself: it is not repeated.
        let mistake = mistakes.add(&credentials.path, Some(credentials.span.clone()), "credentials are named, never written");
        mistake.found("something else (not shown)").allowed(FORMS).secret();
    }
}
