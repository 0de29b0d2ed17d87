//! Texts of MySQL and MariaDB in UTF-8, as logical rows have them: by the server's own tables, which know every character set that it stores.
//!
//! Exact rows have the bytes that are stored, whatever the character set. What the server knows no character for, or is too long for it to
//! convert, is marked with a byte that no UTF-8 has: it equals nothing of another character set or engine.

use crate::verify::sql::rows::mysql_decode::MysqlType;

/// Character sets whose bytes are UTF-8.
const UNICODE: &[&str] = &["utf8", "utf8mb3", "utf8mb4", "ascii", "binary"];

/// The character set of a column's texts, where their bytes are not UTF-8; `type_text` is the column's type with its collation.
fn foreign(type_text: &str) -> Option<&str> {
    // A collation's name begins with that of its character set.
    let (_, collation) = type_text.rsplit_once(" COLLATE ")?;
    let set = collation.split(['_', ' ']).next()?;
    let is_name = set.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_name && !UNICODE.contains(&set)).then_some(set)
}

/// How the values of such a column arrive once they are converted: whether an enum has a label has to be told before.
pub fn arriving(type_text: &str, kind: &MysqlType) -> Option<MysqlType> {
    (*kind == MysqlType::Enum && foreign(type_text).is_some()).then_some(MysqlType::EnumMarked)
}

/// What is asked for, so that the column's texts arrive in UTF-8; nothing where they do anyway. `name` is the column's, quoted.
pub fn asked(type_text: &str, kind: &MysqlType, name: &str) -> Option<String> {
    foreign(type_text)?;
    let (there, stored) = (format!("CONVERT({name} USING utf8mb4)"), format!("CAST({name} AS BINARY)"));
    // What has no character becomes a question mark. A function whose value would be longer than max_allowed_packet gives NULL.
    let marks = |text: &str| format!("CHAR_LENGTH({text}) - CHAR_LENGTH(REPLACE({text}, '?', ''))");
    let whole = format!(
        "CASE WHEN {name} IS NULL THEN NULL WHEN {} = {} THEN CAST({there} AS BINARY) \
         ELSE COALESCE(CONCAT(x'ff', {stored}), CONCAT(x'ff', SHA2({name}, 512))) END",
        marks(name),
        marks(&there)
    );
    match kind {
        MysqlType::Text | MysqlType::Set => Some(whole),
        MysqlType::EnumMarked => Some(format!("CASE WHEN {name} + 0 = 0 THEN x'30' ELSE CONCAT(x'31', {whole}) END")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_not_in_utf8_are_asked_for_in_it() {
        for (text, set) in [
            ("varchar(20) COLLATE latin1_swedish_ci", Some("latin1")),
            ("enum('a COLLATE gbk_bin') COLLATE utf8mb4_bin", None),
            ("char(3) COLLATE ucs2_bin AS ROW START", Some("ucs2")),
            ("varchar(20) COLLATE utf8mb3_general_ci", None),
            ("varchar(20) COLLATE utf8mb4_uca1400_ai_ci", None),
            ("varchar(20) COLLATE ascii_bin", None),
            ("varchar(20) COLLATE x'); DROP", None),
            ("varchar(20)", None),
        ] {
            assert_eq!(foreign(text), set, "{text}");
            assert_eq!(asked(text, &MysqlType::Text, "`c`").is_some(), set.is_some(), "{text}");
        }
        assert_eq!(arriving("enum('é') COLLATE latin1_bin", &MysqlType::Enum), Some(MysqlType::EnumMarked));
        assert_eq!(arriving("enum('é') COLLATE utf8mb4_bin", &MysqlType::Enum), None);
        assert!(asked("bigint", &MysqlType::Signed, "`c`").is_none());
    }
}
