//! What a resource is a backup of, as rules: the forms that `source` has for each kind, and where the database's name stands.
//!
//! Not here: everything else that values mean together (`rules`), and logins (`login_rules`).

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use crate::estate::mistake::{Mistake, Mistakes};
use crate::estate::rules::{Text, tables, text};
use crate::estate::schema::join;
use crate::model::source_url::SourceUrl;

/// Holds every resource to them.
pub fn apply(root: &DeTable<'_>, mistakes: &mut Mistakes<'_>) {
    for (resource, span, path) in tables(root, "", "resource") {
        let kind = text(resource, &path, "kind").map_or("", |kind| kind.value);
        if let Some(source) = text(resource, &path, "source") {
            source_rule(&source, kind, mistakes);
        }
        database_rule(resource, span, &path, kind, mistakes);
        sidecar_rule(resource, &path, mistakes);
    }
}

/// Names of rows stand beside a sidecar, which leaves that are sums do not have.
fn sidecar_rule(resource: &DeTable<'_>, path: &str, mistakes: &mut Mistakes<'_>) {
    let sums = text(resource, path, "leaves").is_some_and(|leaves| leaves.value == "sums");
    if let Some(sidecar) = text(resource, path, "sidecar").filter(|sidecar| sums && sidecar.value != "hashes") {
        complain(mistakes, &sidecar, "leaves that are `sums` have no row sidecar that could hold it", "hashes, or other leaves");
    }
}

fn complain<'m>(mistakes: &'m mut Mistakes<'_>, text: &Text<'_>, message: impl Into<String>, allowed: &str) -> &'m mut Mistake {
    mistakes.add(&text.path, Some(text.span.clone()), message).found(text.value).allowed(allowed)
}

/// True for a database URL with `USER:PASSWORD@` or an option that may be a password, also where it is no URL otherwise.
pub fn has_password(source: &str) -> bool {
    let Some((scheme, rest)) = source.split_once("://") else { return false };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let is_secret = |option: &str| {
        let name = option.split('=').next().unwrap_or_default().to_ascii_lowercase();
        ["pass", "pwd", "secret", "token"].iter().any(|word| name.contains(word))
    };
    scheme != "s3"
        && (place.rsplit_once('@').or(rest.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
            || options.split('&').any(is_secret))
}

/// Schemes and ARN services that a kind's source may have, and an example.
fn source_forms(kind: &str) -> Option<(&'static [&'static str], &'static str, &'static str)> {
    Some(match kind {
        "s3" => (&["s3"], "s3", "s3://BUCKET[/PREFIX], the bucket's name, or its ARN"),
        // A database URL names a host; recovery points name the instance: by a URL none of them would ever be found.
        "rds-mysql" | "rds-postgres" => (&[], "rds", "the instance's identifier or ARN, as RDS knows it"),
        "dynamodb" => (&["dynamodb"], "dynamodb", "dynamodb:TABLE, the table's name, or its ARN"),
        "ebs" => (&[], "ec2", "the volume's id (vol-…) or ARN"),
        "ecs-config" => (&[], "ecs", "the cluster's name or ARN"),
        "files" => {
            (&["dir", "sqlite", "postgres", "mysql"], "", "dir:PATH, sqlite:PATH, postgres://HOST/DATABASE or mysql://HOST/DATABASE")
        }
        _ => return None,
    })
}

/// `source` names what a kind is a backup of, and holds no password.
fn source_rule(source: &Text<'_>, kind: &str, mistakes: &mut Mistakes<'_>) {
    if has_password(source.value) {
        let mistake = mistakes.add(&source.path, Some(source.span.clone()), "no passwords in the configuration");
        mistake
            .found("a URL with a password in it")
            .allowed("the URL without it")
            .hint("name it in `credentials`, as env:NAME or file:PATH")
            .secret();
        return;
    }
    let Some((schemes, service, example)) = source_forms(kind) else { return };
    if let Some(arn) = source.value.strip_prefix("arn:") {
        let found = arn.split(':').nth(1).unwrap_or("");
        if found != service || service.is_empty() {
            complain(mistakes, source, format!("the ARN of `{found}` does not fit the kind `{kind}`"), example);
        }
    } else if source.value.contains(':') {
        match source.value.parse::<SourceUrl>() {
            Err(failure) => {
                complain(mistakes, source, failure.message, example);
            }
            Ok(url) if !schemes.contains(&url.scheme()) => {
                let message = format!("a source of `{}:` does not fit the kind `{kind}`", url.scheme());
                let mistake = complain(mistakes, source, message, example);
                if url.server_database().is_some() {
                    mistake.hint("a database that is not on RDS, whose dumps or copies lie beside AWS, is of the kind `files`");
                }
            }
            Ok(_) => {}
        }
    } else {
        let bytes = |legal: fn(u8) -> bool| source.value.bytes().all(legal);
        let fits = match kind {
            "s3" => format!("s3://{}", source.value).parse::<SourceUrl>().is_ok() && !source.value.contains('/'),
            "dynamodb" => format!("dynamodb:{}", source.value).parse::<SourceUrl>().is_ok(),
            "rds-mysql" | "rds-postgres" => source.value.len() <= 63 && bytes(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "ebs" => source.value.starts_with("vol-"),
            "files" => false,
            _ => true,
        };
        if !fits {
            complain(mistakes, source, format!("`{}` does not fit the kind `{kind}`", source.path), example);
        }
    }
}

/// A restored instance is connected to with a database's name; a source URL has one, an identifier has none.
fn database_rule(resource: &DeTable<'_>, span: Range<usize>, path: &str, kind: &str, mistakes: &mut Mistakes<'_>) {
    let key = join(path, "database");
    let written = resource.contains_key("database");
    let is_rds = matches!(kind, "rds-mysql" | "rds-postgres");
    if !is_rds && written && !kind.is_empty() {
        mistakes.note(&key, resource.get("database").map(Spanned::span), format!("`database` says nothing for the kind `{kind}`"));
    }
    if matches!(kind, "s3" | "dynamodb" | "ebs" | "ecs-config")
        && let Some(log) = resource.get("changes")
    {
        let said = format!("`changes` is a log of a database's rows, and the kind is `{kind}`");
        mistakes.add(&join(path, "changes"), Some(log.span()), said).allowed("nothing here");
    }
    if is_rds && !written && text(resource, path, "source").is_some_and(|source| !source.value.contains("://")) {
        let mistake = mistakes.add(&key, Some(span), format!("`{path}` has no key `database`"));
        mistake.allowed("the database that is read in the restored instance");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_known_wherever_a_url_has_them() {
        for url in [
            "postgres://u:p@h/d",
            "postgres://h/d?user=x&password=geheim",
            "mysql://h/d?PWD=geheim",
            "postgres://h/d?sslpassword=x",
            "postgres://h/d?passfile=/x",
            "postgres://u:p?q@h/d",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in
            ["postgres://u@h/d", "mysql://h:3306/d?ssl-mode=REQUIRED", "s3://bucket/a:b@c?password=x", "dir:pass", "postgres://h/passwords"]
        {
            assert!(!has_password(url), "{url}");
        }
    }
}
