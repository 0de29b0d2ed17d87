//! What values of `attestore.toml` mean together: names that have to exist, kinds that cannot be combined, identities that AWS knows.
//!
//! Not here: the shape of the file (`schema`), and whether files, keys and directories exist (`ground`).

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::estate::config::{LATEST, Span};
use crate::estate::mistake::{Mistakes, nearest};
use crate::estate::schema::{is_placeholder, join};
use crate::model::clock::Timestamp;

/// A text of the document with its place.
#[derive(Clone, Debug)]
pub struct Text<'t> {
    /// The value.
    pub value: &'t str,
    /// Where it is.
    pub span: Range<usize>,
    /// Its key.
    pub path: String,
}

/// The text at `name`, where there is one that can be judged: not empty, and no placeholder.
pub fn text<'t>(table: &'t DeTable<'_>, path: &str, name: &str) -> Option<Text<'t>> {
    let value = table.get(name)?;
    let text = value.get_ref().as_str().filter(|text| !text.is_empty() && !is_placeholder(text))?;
    Some(Text { value: text, span: value.span(), path: join(path, name) })
}

/// The table at `name`.
pub fn table<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(&'t DeTable<'i>, Range<usize>)> {
    let value = table.get(name)?;
    Some((value.get_ref().as_table()?, value.span()))
}

/// The tables of the list at `name`, each with its place and its key.
pub fn tables<'t, 'i>(table: &'t DeTable<'i>, path: &str, name: &str) -> Vec<(&'t DeTable<'i>, Range<usize>, String)> {
    let Some(list) = table.get(name).and_then(|value| value.get_ref().as_array()) else { return Vec::new() };
    let path = join(path, name);
    let each =
        |(index, value): (usize, &'t Spanned<DeValue<'i>>)| Some((value.get_ref().as_table()?, value.span(), format!("{path}[{index}]")));
    list.iter().enumerate().filter_map(each).collect()
}

/// The texts of the list at `name`.
pub fn texts<'t>(table: &'t DeTable<'_>, path: &str, name: &str) -> Vec<Text<'t>> {
    let Some(list) = table.get(name).and_then(|value| value.get_ref().as_array()) else { return Vec::new() };
    let path = join(path, name);
    let each = |(index, value): (usize, &'t Spanned<DeValue<'_>>)| {
        let text = value.get_ref().as_str().filter(|text| !text.is_empty() && !is_placeholder(text))?;
        Some(Text { value: text, span: value.span(), path: format!("{path}[{index}]") })
    };
    list.iter().enumerate().filter_map(each).collect()
}

/// Every rule that needs nothing but the document. `has_driver(kind, from)` says what this build can restore.
pub fn apply(root: &DeTable<'_>, has_driver: &dyn Fn(&str, &str) -> bool, mistakes: &mut Mistakes<'_>) {
    version(root, mistakes);
    if let Some((log, _)) = table(root, "log")
        && let Some(origin) = text(log, "log", "origin")
    {
        let wrong = origin.value.len() > 200 || origin.value.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if wrong {
            let mistake = mistakes.add(&origin.path, Some(origin.span), "the log's origin is also its signer's name in signed notes");
            mistake.found(origin.value).allowed("no spaces, no `+`, at most 200 bytes; such as `example.org/attestore`");
        }
    }
    if let Some((aws, _)) = table(root, "aws") {
        aws_rules(aws, mistakes);
    }
    if let Some((isolation, _)) = table(root, "isolation") {
        isolation_rules(isolation, mistakes);
    }
    if let Some((classes, _)) = table(root, "class") {
        for (name, class) in classes {
            if let Some(class_table) = class.get_ref().as_table() {
                class_rules(class_table, &join("class", name.get_ref()), class.span(), mistakes);
            }
        }
    }
    resources(root, has_driver, mistakes);
}

fn version(root: &DeTable<'_>, mistakes: &mut Mistakes<'_>) {
    let Some(value) = root.get("version") else { return };
    if let Some(number) = value.get_ref().as_integer()
        && u64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|version| version != 1)
    {
        mistakes.add("version", Some(value.span()), "this program reads version 1").found(number.to_string()).allowed("1");
    }
}

fn complain(mistakes: &mut Mistakes<'_>, text: &Text<'_>, message: impl Into<String>, allowed: &str) {
    mistakes.add(&text.path, Some(text.span.clone()), message).found(text.value).allowed(allowed);
}

fn aws_rules(aws: &DeTable<'_>, mistakes: &mut Mistakes<'_>) {
    if let Some(region) = text(aws, "aws", "region") {
        region_rule(&region, mistakes);
    }
    if let Some(endpoint) = text(aws, "aws", "endpoint") {
        match url::Url::parse(endpoint.value) {
            Ok(url) if has_userinfo(&url) => {
                let shown = "a URL with a user name or a password in it";
                mistakes
                    .add(&endpoint.path, Some(endpoint.span), "no secrets in the configuration")
                    .found(shown)
                    .allowed("http(s)://HOST[:PORT]")
                    .secret();
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
            _ => complain(mistakes, &endpoint, "the endpoint is not a URL of HTTP", "http(s)://HOST[:PORT]"),
        }
    }
    let roles = table(aws, "assume_role").map(|(roles, _)| roles);
    if let Some(place) = roles.and_then(|roles| roles.get("evidence")).map(Spanned::span) {
        // Unsaid, somebody would believe that another identity than the drill's own writes the evidence.
        let said = "no role is assumed to write evidence: log and evidence go to the directory `log.path`, with this machine's own rights";
        let note = mistakes.note("aws.assume_role.evidence", Some(place), said);
        note.hint("what has to be out of this machine's reach is given to another account by other means, such as a mount");
    }
    let assumed = ["vault", "isolated", "evidence"].into_iter().filter_map(|name| text(roles?, "aws.assume_role", name));
    for role in assumed.chain(text(aws, "aws", "backup_role_arn")) {
        let parts: Vec<&str> = role.value.splitn(6, ':').collect();
        let fits = matches!(parts[..], ["arn", _, "iam", "", account, name] if is_account(account) && name.strip_prefix("role/").is_some_and(|name| !name.is_empty()));
        if !fits {
            complain(
                mistakes,
                &role,
                format!("`{}` is not the ARN of a role", role.path),
                "arn:aws:iam::ACCOUNT:role/NAME, the account in 12 digits",
            );
        }
    }
}

fn region_rule(region: &Text<'_>, mistakes: &mut Mistakes<'_>) {
    let parts: Vec<&str> = region.value.split('-').collect();
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let number = |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    let fits = parts.len() >= 3 && parts[..parts.len() - 1].iter().all(|part| word(part)) && number(parts[parts.len() - 1]);
    if !fits {
        complain(mistakes, region, format!("`{}` is not a Region", region.path), "a Region's code, such as eu-west-2");
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn has_userinfo(url: &url::Url) -> bool {
    url.password().is_some() || !url.username().is_empty()
}

fn isolation_rules(isolation: &DeTable<'_>, mistakes: &mut Mistakes<'_>) {
    const PATH: &str = "isolation";
    if let Some(account) = text(isolation, PATH, "account_id").filter(|account| !is_account(account.value)) {
        complain(mistakes, &account, "`isolation.account_id` is not an AWS account", "12 digits in quotes");
    }
    if let Some(prefix) = text(isolation, PATH, "name_prefix") {
        let value = prefix.value;
        let legal = value.len() <= 20
            && value.starts_with(|c: char| c.is_ascii_lowercase())
            && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !value.contains("--");
        if !legal {
            complain(
                mistakes,
                &prefix,
                "`isolation.name_prefix` has to fit buckets, tables and database instances alike",
                "lower-case letters, digits and single `-`, a letter first, at most 20 characters",
            );
        }
    }
    let id = |text: &Text<'_>, start: &str| {
        text.value.strip_prefix(start).is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if let Some(vpc) = text(isolation, PATH, "vpc_id").filter(|vpc| !id(vpc, "vpc-")) {
        complain(mistakes, &vpc, "`isolation.vpc_id` is not a VPC", "vpc- and 8 or 17 hex digits");
    }
    for group in texts(isolation, PATH, "security_group_ids").iter().filter(|group| !id(group, "sg-")) {
        complain(mistakes, group, format!("`{}` is not a security group", group.path), "sg- and 8 or 17 hex digits");
    }
    if let Some(key) = text(isolation, PATH, "kms_key_arn") {
        let parts: Vec<&str> = key.value.splitn(6, ':').collect();
        let fits = matches!(parts[..], ["arn", _, "kms", region, account, name]
            if !region.is_empty() && is_account(account) && (name.starts_with("key/") || name.starts_with("alias/")));
        if !fits {
            complain(mistakes, &key, "`isolation.kms_key_arn` is not the ARN of a key", "arn:aws:kms:REGION:ACCOUNT:key/ID");
        }
    }
}

/// Something in the data that is older than this by more shows nothing of a second, in seconds.
const LONGEST_WITHIN_S: u64 = 86_400;

fn class_rules(class: &DeTable<'_>, path: &str, span: Range<usize>, mistakes: &mut Mistakes<'_>) {
    if let Some(period) = text(class, path, "test_period").filter(|period| period.value == "not_required") {
        complain(
            mistakes,
            &period,
            format!("`{}` has to be a length of time", period.path),
            "such as 90d; leave it out where nothing is demanded",
        );
    }
    let within = text(class, path, "second_within").filter(|within| !mistakes.has(&within.path));
    let seconds = |text: &str| Span::try_from(text.to_owned()).ok().and_then(Span::seconds);
    if let Some(within) = within.filter(|within| seconds(within.value).is_none_or(|seconds| seconds > LONGEST_WITHIN_S)) {
        let message = format!("`{}` has to be a length of time that shows that a second was reached", within.path);
        complain(mistakes, &within, message, "1s to 1d; leave it out for 5s");
    }
    let is_read_in_place = text(class, path, "access").is_some_and(|access| access.value == "backup-access-point");
    if let Some(rto) = text(class, path, "rto").filter(|rto| is_read_in_place && rto.value != "not_required") {
        let message = format!("`{}` cannot be met: a backup access point restores nothing, and measures no recovery time", rto.path);
        complain(mistakes, &rto, message, "`not_required`, and a class that restores for the time objective");
    }
    let Some((sample, sample_span)) = table(class, "sample") else { return };
    let path = join(path, "sample");
    let whole = |name: &str| {
        let value = sample.get(name)?;
        let number = value.get_ref().as_integer()?;
        Some((u64::from_str_radix(number.as_str(), number.radix()).ok()?, value.span()))
    };
    let (count, confidence, tolerable) = (whole("count"), whole("confidence_ppm"), whole("tolerable_ppm"));
    let written = |name: &str| sample.contains_key(name);
    const FORMS: &str = "either { count = N } or { confidence_ppm = N, tolerable_ppm = N }";
    let place = Some(if sample_span.is_empty() { span } else { sample_span });
    if written("count") && (written("confidence_ppm") || written("tolerable_ppm")) {
        mistakes.add(&path, place.clone(), format!("`{path}` says its size in two ways")).allowed(FORMS);
    } else if !(written("count") || written("confidence_ppm") && written("tolerable_ppm")) {
        mistakes.add(&path, place, format!("`{path}` does not say its size")).allowed(FORMS);
    }
    if let Some((0, span)) = count {
        mistakes.add(&join(&path, "count"), Some(span), "a sample of none proves nothing").found("0").allowed("1 and more");
    }
    for (name, value) in [("confidence_ppm", confidence), ("tolerable_ppm", tolerable)] {
        if let Some((value, span)) = value.filter(|(value, _)| !(1..1_000_000).contains(value)) {
            let mistake = mistakes.add(&join(&path, name), Some(span), format!("`{path}.{name}` is a share in millionths"));
            mistake.found(value.to_string()).allowed("1 to 999999; 95 % is 950000");
        }
    }
}

fn resources(root: &DeTable<'_>, has_driver: &dyn Fn(&str, &str) -> bool, mistakes: &mut Mistakes<'_>) {
    let classes: Vec<&str> =
        table(root, "class").map(|(classes, _)| classes.keys().map(|name| name.get_ref().as_ref()).collect()).unwrap_or_default();
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut first_aws = None;
    let list = tables(root, "", "resource");
    if list.is_empty() && !mistakes.has("resource") {
        mistakes.note("resource", None, "no [[resource]] yet: a drill has nothing to do");
    }
    for (resource, span, path) in &list {
        if let Some(id) = text(resource, path, "id") {
            let legal = id.value.len() <= 64 && id.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !legal {
                complain(mistakes, &id, format!("`{}` is not an id", id.path), "at most 64 letters, digits, `-`, `_`, `.`");
            }
            if let Some(first) = seen.insert(id.value, path.clone()) {
                complain(mistakes, &id, format!("`{first}` has the same id"), "an id of its own for each resource");
            }
        }
        if let Some(class) = text(resource, path, "class").filter(|class| !classes.contains(&class.value)) {
            let known = if classes.is_empty() { "no [class.NAME] is there yet".to_owned() } else { classes.join(", ") };
            let mistake = mistakes.add(&class.path, Some(class.span.clone()), format!("there is no [class.{}]", class.value));
            mistake.found(class.value).allowed(known).nearest_of(class.value, classes.iter().copied());
        }
        let kind = text(resource, path, "kind").map_or("", |kind| kind.value);
        let points = tables(resource, path, "points");
        if points.is_empty() && !mistakes.has(&join(path, "points")) {
            mistakes.note(&join(path, "points"), Some(span.clone()), "untested: no [[resource.points]] names its recovery points");
        }
        for (points, span, path) in points {
            if let Some(from) = points_rules(points, span.clone(), &path, kind, has_driver, mistakes)
                && from != "local"
            {
                first_aws.get_or_insert((span, path));
            }
        }
    }
    if let Some((span, path)) = first_aws {
        for needed in ["aws", "isolation"] {
            if !root.contains_key(needed) {
                let mistake = mistakes.add(needed, Some(span.clone()), format!("`{path}` lies in AWS, and the file has no [{needed}]"));
                mistake.hint(format!("add the table [{needed}]; `attestore init` writes one with comments"));
            }
        }
    }
}

/// The sources that recovery points of a kind can come from. AWS Backup has no resource type for ECS.
pub fn sources_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "s3" => &["aws-backup", "s3-versions"],
        "rds-mysql" | "rds-postgres" => &["aws-backup", "rds-snapshot", "rds-pitr", "local"],
        "dynamodb" => &["aws-backup", "dynamodb-backup", "dynamodb-pitr"],
        "ebs" => &["aws-backup"],
        "ecs-config" | "files" => &["local"],
        _ => return None,
    })
}

/// The rules of one `[[resource.points]]`; gives its `from` where that is a known word.
fn points_rules<'t>(
    points: &'t DeTable<'_>,
    span: Range<usize>,
    path: &str,
    kind: &str,
    has_driver: &dyn Fn(&str, &str) -> bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<&'t str> {
    let from = text(points, path, "from").filter(|_| !mistakes.has(&join(path, "from")))?;
    let possible = sources_of(kind);
    if let Some(possible) = possible.filter(|possible| !possible.contains(&from.value)) {
        let why = if kind == "ecs-config" { " (AWS Backup has no resource type for ECS)" } else { "" };
        complain(mistakes, &from, format!("`{}` does not come from `{}`{why}", kind, from.value), &possible.join(", "));
    } else if possible.is_some() && !has_driver(kind, from.value) {
        let message = format!("untested: driver_absent — this build cannot restore `{kind}` from `{}`", from.value);
        mistakes.note(&from.path, Some(from.span.clone()), message);
    }
    let at = |name: &str| points.get(name).map(Spanned::span);
    match from.value {
        "local" => {
            match (at("vault"), at("path")) {
                (None, None) => {
                    mistakes
                        .add(&join(path, "path"), Some(span), format!("`{path}` has no key `path`"))
                        .allowed("the directory of its recovery points");
                }
                (Some(_), Some(both)) => {
                    let mistake = mistakes.add(&join(path, "path"), Some(both), "`vault` and `path` mean the same for local points");
                    mistake.allowed("one of them");
                }
                _ => {}
            }
            if let Some(region) = at("region") {
                mistakes.add(&join(path, "region"), Some(region), "local points lie in no Region").allowed("no `region` here");
            }
        }
        other => {
            if other == "aws-backup" && at("vault").is_none() {
                mistakes
                    .add(&join(path, "vault"), Some(span), format!("`{path}` has no key `vault`"))
                    .allowed("the name of the AWS Backup vault");
            }
            times_rule(points, path, other, mistakes);
            let surplus = if other == "aws-backup" { &["path"][..] } else { &["path", "vault"] };
            for name in surplus {
                if let Some(place) = at(name) {
                    let message = format!("points of `{other}` have no `{name}`");
                    let allowed = if has_times(other) { "from, region, at" } else { "from, region" };
                    mistakes.add(&join(path, name), Some(place), message).allowed(allowed);
                }
            }
            if let Some(region) = text(points, path, "region") {
                region_rule(&region, mistakes);
            }
        }
    }
    if let Some(vault) = text(points, path, "vault").filter(|_| from.value == "aws-backup") {
        let legal =
            (2..=50).contains(&vault.value.len()) && vault.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !legal {
            complain(mistakes, &vault, format!("`{}` is not a vault's name", vault.path), "2 to 50 letters, digits, `-`, `_`");
        }
    }
    Some(from.value)
}

/// Whether points of this source are moments.
fn has_times(from: &str) -> bool {
    from.ends_with("-pitr") || from == "s3-versions"
}

/// `at` belongs to points in time, and names times or the latest one.
fn times_rule(points: &DeTable<'_>, path: &str, from: &str, mistakes: &mut Mistakes<'_>) {
    const FORMS: &str = "RFC 3339 times in whole seconds, such as 2026-01-31T02:00:00Z, or latest";
    if let Some(place) = points.get("at").map(Spanned::span).filter(|_| !has_times(from) && from != "aws-backup") {
        mistakes
            .add(&join(path, "at"), Some(place), format!("points of `{from}` have no `at`"))
            .allowed("`at` with rds-pitr, dynamodb-pitr, s3-versions, and continuous backups of aws-backup");
        return;
    }
    for time in texts(points, path, "at") {
        let whole = |text: &str| text.parse::<Timestamp>().is_ok_and(|at| at.0 % 1_000_000 == 0);
        if time.value != LATEST && !whole(time.value) {
            complain(mistakes, &time, format!("`{}` is not a time that can be restored to", time.path), FORMS);
        }
    }
}

/// The name of a check pack that is neither built in nor a path.
pub fn pack_rule(pack: &Text<'_>, built_in: &[&str], mistakes: &mut Mistakes<'_>) {
    if !built_in.contains(&pack.value) {
        let mistake = mistakes.add(&pack.path, Some(pack.span.clone()), format!("there is no check pack `{}`", pack.value));
        mistake.found(pack.value).allowed(format!("{}; or a path with `/` or `.sql` in it", built_in.join(", ")));
        mistake.nearest = nearest(pack.value, built_in.iter().copied()).map(str::to_owned);
    }
}
