//! The known keys of `attestore.toml`, version 1, as a table; and the walk that holds a document to it.
//!
//! Not here: what values mean together (`rules`). The types that a good file becomes are in `config`; a test keeps both alike.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::estate::config::Span;
use crate::estate::mistake::Mistakes;

/// What a key's value has to be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A text.
    Text,
    /// A length of time such as `4h`, or `not_required`.
    Time,
    /// A whole number from 0 on.
    Whole,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A table with these keys.
    Table(&'static [Field]),
    /// A table of tables with free names.
    Named(&'static [Field]),
    /// A table of texts with free names.
    NamedTexts,
    /// A list of tables.
    List(&'static [Field]),
}

/// One known key.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What its value has to be.
    pub shape: Shape,
    /// True where it has to be there.
    pub required: bool,
    /// What it is, in a few words.
    pub about: &'static str,
}

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: true, about }
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: false, about }
}

/// Spellings of `kind`; those of `crate::model::resource::ResourceKind`.
pub const KINDS: &[&str] = &["s3", "rds-mysql", "rds-postgres", "dynamodb", "ebs", "ecs-config", "files"];
/// Spellings of `from`; those of `crate::model::resource::PointSource`.
pub const SOURCES: &[&str] = &["aws-backup", "rds-snapshot", "rds-pitr", "dynamodb-backup", "dynamodb-pitr", "s3-versions", "local"];
/// Spellings of `when_no_manifest`.
pub const WITHOUT_MANIFEST: &[&str] = &["untested", "invariants", "first-restore"];

/// Spellings of `authentication`; those of `crate::estate::config::Authentication`.
pub const AUTHENTICATION: &[&str] = &["password", "iam"];

/// Spellings of `leaves`; those of `crate::verify::manifest::request::Leaves`.
pub const LEAVES: &[&str] = &["buckets", "sums", "ranges"];

/// Spellings of `sidecar`; those of `crate::verify::manifest::request::Sidecar`.
pub const SIDECAR: &[&str] = &["hashes", "keys", "columns"];

/// Spellings of `access`; those of `crate::estate::config::Access`.
pub const ACCESS: &[&str] = &["restore", "backup-access-point"];

/// The whole file.
pub const ROOT: &[Field] = &[
    must("version", Shape::Whole, "the version of this schema: 1"),
    must(
        "log",
        Shape::Table(&[
            must("path", Shape::Text, "the testing log's directory"),
            must("origin", Shape::Text, "the log's name, such as `example.org/attestore`"),
        ]),
        "the testing log",
    ),
    must(
        "keys",
        Shape::Table(&[
            must("signing", Shape::Text, "the Ed25519 key file that signs the log"),
            must("hash", Shape::Text, "the key file that row digests are keyed with"),
        ]),
        "the key files",
    ),
    may(
        "aws",
        Shape::Table(&[
            must("region", Shape::Text, "the Region, such as `eu-west-2`"),
            may("profile", Shape::Text, "a profile of the shared configuration files"),
            may("endpoint", Shape::Text, "a URL instead of AWS's own endpoints"),
            must("backup_role_arn", Shape::Text, "the ARN of the role that AWS Backup restores with"),
            may(
                "assume_role",
                Shape::Table(&[
                    may("vault", Shape::Text, "the ARN of the role that lists and restores"),
                    may("isolated", Shape::Text, "the ARN of the role that reads and deletes what was restored"),
                    may("evidence", Shape::Text, "the ARN of the role that writes evidence; a log in a directory needs none"),
                ]),
                "roles to be assumed",
            ),
        ]),
        "how AWS is reached",
    ),
    may(
        "isolation",
        Shape::Table(&[
            must("account_id", Shape::Text, "the only account that is restored into: 12 digits"),
            may("vpc_id", Shape::Text, "the VPC of restored instances"),
            may("subnet_group", Shape::Text, "the DB subnet group of restored instances"),
            may("security_group_ids", Shape::Texts, "security groups of restored instances"),
            may(
                "parameter_groups",
                Shape::Table(&[
                    may("postgres", Shape::Text, "the DB parameter group of restored PostgreSQL instances"),
                    may("mysql", Shape::Text, "the DB parameter group of restored MySQL instances"),
                    may("mariadb", Shape::Text, "the DB parameter group of restored MariaDB instances"),
                ]),
                "DB parameter groups of restored instances",
            ),
            may("kms_key_arn", Shape::Text, "the key that restored resources are encrypted with"),
            must("name_prefix", Shape::Text, "what every created name starts with"),
        ]),
        "what a restore must look like",
    ),
    may(
        "class",
        Shape::Named(&[
            may("rto", Shape::Time, "the recovery time objective"),
            may("rpo", Shape::Time, "the recovery point objective"),
            may("test_period", Shape::Time, "each resource is drilled within this time"),
            may(
                "sample",
                Shape::Table(&[
                    may("count", Shape::Whole, "so many recovery points"),
                    may("confidence_ppm", Shape::Whole, "the confidence in millionths"),
                    may("tolerable_ppm", Shape::Whole, "the share of bad points that must be found, in millionths"),
                ]),
                "how many points are drawn",
            ),
            may("access", Shape::Word(ACCESS), "how S3 recovery points of AWS Backup are read"),
            may("when_no_manifest", Shape::Word(WITHOUT_MANIFEST), "what happens to a point without a manifest"),
            may("indeterminate_budget", Shape::Whole, "how many undecided rows, objects or items one point may have"),
            may("second_within", Shape::Text, "how near to its second the data of a point in time has to come"),
            may("checks", Shape::Texts, "SQL check packs by name or path"),
        ]),
        "data classes",
    ),
    may("resource", Shape::List(RESOURCE), "resources"),
    may("sandbox", Shape::Table(&[may("dir", Shape::Text, "the stand-in's state directory")]), "the stand-in AWS"),
];

/// `[[resource]]`
pub const RESOURCE: &[Field] = &[
    must("id", Shape::Text, "unique; letters, digits, `-`, `_`, `.`"),
    must("application", Shape::Text, "the application that it belongs to"),
    must("kind", Shape::Word(KINDS), "what it is"),
    must("class", Shape::Text, "a name of [class.NAME]"),
    must("source", Shape::Text, "its source URL, or its name or ARN"),
    may("manifests", Shape::Text, "the directory of its manifests"),
    may("database", Shape::Text, "the database within a restored instance"),
    may("credentials", Shape::Text, "`env:NAME` or `file:PATH`"),
    may("authentication", Shape::Word(AUTHENTICATION), "how a restored instance of RDS is logged in to"),
    may("database_user", Shape::Text, "the database user that tokens of IAM are for"),
    may("tls_ca", Shape::Text, "a CA bundle for TLS to a restored instance"),
    may("live", Shape::Text, "the URL of the running source, to be asked for its newest change stamps"),
    may("names", Shape::NamedTexts, "what tables and columns of check packs are called in this database"),
    may("changes", Shape::Text, "a log of what was written to the database, one change event of Debezium or AWS DMS a line"),
    may("leaves", Shape::Word(LEAVES), "what the leaves of its tables' fingerprints are made of"),
    may("sidecar", Shape::Word(SIDECAR), "what manifests keep of each row of its tables"),
    may(
        "points",
        Shape::List(&[
            must("from", Shape::Word(SOURCES), "the kind of source"),
            may("vault", Shape::Text, "the vault's name"),
            may("path", Shape::Text, "the directory of local recovery points"),
            may("region", Shape::Text, "another Region than the configuration's"),
            may("at", Shape::Texts, "the seconds that are drilled: RFC 3339 times, or `latest`"),
        ]),
        "where its recovery points are",
    ),
];

/// Holds `table` to `fields`: unknown keys, missing keys, values of another shape.
pub struct Walk<'m, 'a> {
    /// Where mistakes go.
    pub mistakes: &'m mut Mistakes<'a>,
    /// False where the text could be parsed in part only: what seems missing may be in the other part.
    pub complete: bool,
}

impl Walk<'_, '_> {
    /// `span` is that of the table, or none for the whole file; `path` is its key, empty for the whole file.
    pub fn table(&mut self, table: &DeTable<'_>, span: Option<Range<usize>>, fields: &'static [Field], path: &str) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match fields.iter().find(|field| field.name == name) {
                Some(field) => self.value(value, field.shape, &join(path, name), field.about),
                None => self.unknown(name, key.span(), fields, path),
            }
        }
        if !self.complete {
            return;
        }
        let is_there = |field: &Field| table.keys().any(|key| key.get_ref() == field.name);
        for field in fields.iter().filter(|field| field.required && !is_there(field)) {
            let place = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
            let what =
                if matches!(field.shape, Shape::Table(_)) { format!("table [{}]", field.name) } else { format!("key `{}`", field.name) };
            let mistake = self.mistakes.add(&join(path, field.name), span.clone(), format!("{place} has no {what}"));
            mistake.allowed(format!("{}: {}", field.name, field.about));
        }
    }

    fn unknown(&mut self, name: &str, span: Range<usize>, fields: &'static [Field], path: &str) {
        let place = if path.is_empty() { "the file's top level".to_owned() } else { format!("`{path}`") };
        let mistake = self.mistakes.add(&join(path, name), Some(span), format!("unknown key `{}` in {place}", shown(name)));
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        mistake.found(shown(name)).allowed(names.join(", ")).nearest_of(name, names);
        if mistake.nearest.is_none()
            && let Some(owner) = owner_of(name, ROOT, "")
        {
            mistake.hint(format!("`{name}` is a key of {owner}"));
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, shape: Shape, path: &str, about: &str) {
        let span = Some(value.span());
        match (shape, value.get_ref()) {
            (Shape::Text, DeValue::String(text)) => self.text(text, span, path, about),
            (Shape::Time, DeValue::String(text)) => {
                if let Err(message) = Span::try_from(text.clone().into_owned()) {
                    self.mistakes
                        .add(path, span, message)
                        .found(text.as_ref())
                        .allowed("a whole number and s, m, h or d, up to 36500d, or `not_required`");
                }
            }
            (Shape::Word(words), DeValue::String(text)) => {
                if !words.contains(&text.as_ref()) {
                    let mistake = self.mistakes.add(path, span, format!("`{path}` is `{}`, which is none of its words", shown(text)));
                    mistake.found(text.as_ref()).allowed(words.join(", ")).nearest_of(text, words.iter().copied());
                }
            }
            (Shape::Whole, DeValue::Integer(number)) => {
                if u64::from_str_radix(number.as_str(), number.radix()).is_err() {
                    self.mistakes
                        .add(path, span, format!("`{path}` is not a whole number from 0 on"))
                        .found(number.to_string())
                        .allowed(about);
                }
            }
            (Shape::Texts, DeValue::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, Shape::Text, &format!("{path}[{index}]"), about);
                }
            }
            (Shape::Table(fields), DeValue::Table(table)) => self.table(table, span, fields, path),
            (Shape::Named(fields), DeValue::Table(table)) => {
                for (name, value) in table {
                    self.value(value, Shape::Table(fields), &join(path, name.get_ref()), about);
                }
            }
            (Shape::NamedTexts, DeValue::Table(table)) => {
                for (name, value) in table {
                    self.value(value, Shape::Text, &join(path, name.get_ref()), about);
                }
            }
            (Shape::List(fields), DeValue::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, Shape::Table(fields), &format!("{path}[{index}]"), about);
                }
            }
            (shape, other) => {
                let (expected, found) = (spelled(shape), type_word(other));
                self.mistakes
                    .add(path, span, format!("`{path}` has to be {expected}"))
                    .found(found)
                    .allowed(format!("{expected}: {about}"));
            }
        }
    }

    fn text(&mut self, text: &str, span: Option<Range<usize>>, path: &str, about: &str) {
        if text.is_empty() {
            self.mistakes.add(path, span, format!("`{path}` is empty")).allowed(about);
        } else if is_placeholder(text) {
            self.mistakes
                .add(path, span, format!("`{path}` still holds a placeholder"))
                .found(text)
                .allowed(about)
                .hint("put your own value there");
        } else if text.contains('\0') {
            self.mistakes.add(path, span, format!("`{path}` holds a NUL character")).allowed(about);
        }
    }
}

/// True for what the commented default leaves to be filled in: `<…>` somewhere in it.
pub fn is_placeholder(text: &str) -> bool {
    text.find('<').is_some_and(|at| text[at..].contains('>'))
}

/// `a.b`, with quotes around what is not a bare key.
pub fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let name = if bare { name.to_owned() } else { format!("{:?}", shown(name)) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect()
}

/// The table that knows a key of this name.
fn owner_of(name: &str, fields: &'static [Field], path: &str) -> Option<String> {
    fields.iter().find_map(|field| {
        let (inner, header) = match field.shape {
            Shape::Table(inner) => (inner, format!("[{}]", join(path, field.name))),
            Shape::Named(inner) => (inner, format!("[{}.NAME]", join(path, field.name))),
            Shape::List(inner) => (inner, format!("[[{}]]", join(path, field.name))),
            _ => return None,
        };
        if inner.iter().any(|field| field.name == name) { Some(header) } else { owner_of(name, inner, &join(path, field.name)) }
    })
}

fn spelled(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Word(_) => "a text in quotes",
        Shape::Time => "a length of time in quotes, such as \"4h\"",
        Shape::Whole => "a whole number",
        Shape::Texts => "a list of texts",
        Shape::Table(_) => "a table",
        Shape::Named(_) => "tables with names",
        Shape::NamedTexts => "a table of texts",
        Shape::List(_) => "a list of tables, each under its own [[…]]",
    }
}

fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resource::{PointSource, ResourceKind};

    #[test]
    fn the_words_are_those_of_the_types() {
        assert_eq!(KINDS, ResourceKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
        assert_eq!(SOURCES, PointSource::ALL.iter().map(|source| source.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn a_key_in_the_wrong_table_is_told_its_own() {
        assert_eq!(owner_of("tolerable_ppm", ROOT, "").as_deref(), Some("[class.sample]"));
        assert_eq!(owner_of("vault", ROOT, "").as_deref(), Some("[aws.assume_role]"));
        assert_eq!(owner_of("nothing", ROOT, ""), None);
    }
}
