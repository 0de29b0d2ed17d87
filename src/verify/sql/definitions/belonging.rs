//! Kinds that belong to others, and what a definition belongs to by its name: what is gone takes with it what belonged to it, and that is told once.

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
pub const OWNERS: [&str; 24] = [
    TABLE,
    "view",
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

/// What a definition may belong to: what its name begins with, and of rights and owners the object itself.
pub fn owners<'a>(kind: &str, name: &'a str) -> impl Iterator<Item = &'a str> {
    // Options belong to a mapping, and a mapping to its server.
    let server = name.rsplit_once(" to ").map(|(object, _)| object).filter(|_| kind == MAPPING_OPTIONS);
    let name = object_of(kind, name);
    let itself = (!OWNERS.contains(&kind) || kind == "user mapping").then_some(name).filter(|name| !name.is_empty());
    itself.into_iter().chain(server).chain(name.match_indices('.').map(|(dot, _)| &name[..dot]))
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
        let of = |kind: &str, name: &'static str| owners(kind, name).collect::<Vec<_>>();
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
}
