//! Kinds that belong to others, and what a definition belongs to by its name: what is gone takes with it what belonged to it, and that is told once.

use crate::verify::sql::postgres::catalog::shown_name;

/// The kind of tables.
pub const TABLE: &str = "table";

/// The kind whose names end in ` to ROLE`.
pub const GRANT: &str = "grant";

/// The same of what is no table, routine, type or schema; earlier versions did not know of these.
pub const GRANT_ON: &str = "grant on";

/// Who owns a relation, a routine or a schema.
pub const OWNER: &str = "owner";

/// Who owns anything else; earlier versions did not know of these.
pub const OWNER_OF: &str = "owner of";

/// Settings of the database and of roles in it, whose names end in ` of ROLE`.
pub const SETTING: &str = "setting";

/// Options of user mappings, which few readers are shown.
pub const MAPPING_OPTIONS: &str = "user mapping options";

/// Kinds to which definitions of other kinds belong.
pub const OWNERS: [&str; 25] = [
    TABLE,
    "view",
    "trigger",
    "routine",
    "aggregate",
    "sequence",
    "type",
    "foreign table",
    "event",
    "access method",
    "base type",
    "collation",
    "conversion",
    "foreign data wrapper",
    "foreign server",
    "language",
    "operator",
    "operator class",
    "operator family",
    "publication",
    "statistics",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "user mapping",
];

/// The name of what a right, an owner or a mapping is of; the name itself of other kinds, and none of what is the database's.
pub fn object_of<'a>(kind: &str, name: &'a str) -> &'a str {
    let before_to = || name.rsplit_once(" to ").map(|(object, _)| object);
    match kind {
        OWNER => name.split_once(' ').map_or(name, |(_, name)| name),
        OWNER_OF => without_kind(name),
        GRANT => before_to().map_or(name, |object| object.strip_prefix("type ").unwrap_or(object)),
        GRANT_ON => before_to().map_or(name, without_kind),
        "user mapping" => before_to().unwrap_or(name),
        SETTING => "",
        _ => name,
    }
}

/// Kinds whose parts have names that begin with theirs.
const WITH_PARTS: [&str; 5] = [TABLE, "view", "foreign table", "sequence", "type"];

/// What a definition may belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner<'a> {
    /// Its name.
    pub name: &'a str,
    of: Of<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of<'a> {
    Any,
    WithParts,
    Kind(&'a str),
}

impl Owner<'_> {
    /// Whether it may be of this kind: a publication, say, has no parts, and what begins with its name is not its own.
    pub fn may_be(&self, kind: &str) -> bool {
        match self.of {
            Of::Any => true,
            Of::WithParts => WITH_PARTS.contains(&kind),
            Of::Kind(known) => known == kind,
        }
    }
}

impl Owner<'_> {
    /// Whether it is of this kind wherever it has its name: statistics may be called like a table, what PostgreSQL has in `pg_class` not like another.
    pub fn is(&self, kind: &str) -> bool {
        self.may_be(kind) && (self.of != Of::Any || kind != "statistics")
    }
}

/// What a definition may belong to: what its name begins with, and of rights and owners the object itself.
pub fn owners<'a>(kind: &str, name: &'a str) -> impl Iterator<Item = Owner<'a>> {
    let before_to = name.rsplit_once(" to ").map(|(object, _)| object);
    let of = match kind {
        OWNER_OF => kind_before(name).map_or(Of::Any, Of::Kind),
        GRANT_ON => before_to.and_then(kind_before).map_or(Of::Any, Of::Kind),
        "user mapping" => Of::Kind("foreign server"),
        MAPPING_OPTIONS => Of::Kind("user mapping"),
        _ => Of::Any,
    };
    // Options belong to a mapping, and a mapping to its server.
    let server = before_to.filter(|_| kind == MAPPING_OPTIONS).map(|name| Owner { name, of: Of::Kind("foreign server") });
    let name = object_of(kind, name);
    let itself = (!OWNERS.contains(&kind) || kind == "user mapping").then_some(Owner { name, of }).filter(|owner| !owner.name.is_empty());
    let begins = name.match_indices('.').map(|(dot, _)| Owner { name: &name[..dot], of: Of::WithParts });
    itself.into_iter().chain(server).chain(begins)
}

/// What findings may call the table that definitions of PostgreSQL call so: any of the dots may be the one after its schema.
pub fn in_findings(name: &str) -> impl Iterator<Item = String> {
    name.match_indices('.').map(|(dot, _)| shown_name(&name[..dot], &name[dot + 1..]))
}

/// The kind that an object's name follows; kinds of two words before those of one.
fn kind_before(name: &str) -> Option<&str> {
    let is_before = |kind: &&str| name.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(' '));
    OWNERS.into_iter().filter(is_before).max_by_key(|kind| kind.len())
}

/// The name of an object that follows its kind; kinds of two words before those of one.
fn without_kind(name: &str) -> &str {
    let mut kinds: Vec<&str> = OWNERS.into_iter().chain(["FUNCTION", "PROCEDURE", "PACKAGE BODY", "PACKAGE"]).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.len()));
    kinds.into_iter().find_map(|kind| name.strip_prefix(kind)?.strip_prefix(' ')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_owners_and_parts_belong_to_what_they_name() {
        let of = |kind: &str, name: &'static str| owners(kind, name).map(|owner| owner.name).collect::<Vec<_>>();
        assert_eq!(of(OWNER_OF, "text search configuration public.c"), ["public.c", "public"]);
        assert_eq!(of(OWNER_OF, "type public.mood"), ["public.mood", "public"]);
        assert_eq!(of(GRANT_ON, "foreign server s to app"), ["s"]);
        assert_eq!(of(GRANT, "public.t.a to app"), ["public.t.a", "public", "public.t"]);
        assert_eq!(of("user mapping", "s to app"), ["s"]);
        assert_eq!(of(MAPPING_OPTIONS, "s to app"), ["s to app", "s"]);
        assert_eq!(of("column order", "public.t"), ["public.t", "public"]);
        assert_eq!(of(SETTING, "plpgsql.x of app"), Vec::<&str>::new());
        assert_eq!(of("collation", "public.c"), ["public"]);
    }

    #[test]
    fn a_table_is_called_by_its_schema_and_its_own_name() {
        let of = |name: &'static str| in_findings(name).collect::<Vec<_>>();
        assert_eq!(of("public.m2"), ["m2"]);
        assert_eq!(of("public.m.2"), ["\"m.2\"", "\"public.m\".2"]);
        assert_eq!(of("s"), Vec::<String>::new());
    }

    #[test]
    fn an_owner_is_of_a_kind_that_can_have_it() {
        let may = |kind: &str, name: &'static str, of: &str| {
            owners(kind, name).filter(|owner| owner.may_be(of)).map(|owner| owner.name).collect::<Vec<_>>()
        };
        assert_eq!(may("column", "app.t.a", TABLE), ["app.t.a", "app", "app.t"]);
        assert_eq!(may("constraint", "app.t.c", "publication"), ["app.t.c"]);
        assert_eq!(may(OWNER_OF, "publication app", "publication"), ["app"]);
        assert_eq!(may(OWNER_OF, "publication app", TABLE), Vec::<&str>::new());
        assert_eq!(may(GRANT_ON, "foreign server s to app", "foreign server"), ["s"]);
        assert_eq!(may(MAPPING_OPTIONS, "s to app", "foreign server"), ["s"]);
        assert_eq!(may(MAPPING_OPTIONS, "s to app", "user mapping"), ["s to app"]);
        assert_eq!(may("user mapping", "s to app", "foreign server"), ["s"]);
    }
}
