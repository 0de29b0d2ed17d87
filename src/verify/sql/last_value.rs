//! The last value of a column that counts, as text that a server compares.
//!
//! Not here: how it comes about, and what is done with it (`watermark`).

use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire, backticked, double_quoted};

/// By what the values of a column are ordered, and so how one of them is written in a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As numbers: SQLite orders them before texts.
    Number,
    /// As times with their date, in UTC.
    Time,
    /// As texts by their bytes in UTF-8, be they of digits: a restored column may have a collation of its own.
    Text,
    /// As texts by their bytes in this encoding, which has characters that UTF-8 lacks.
    TextIn(&'static str),
    /// As bytes; the text has their hexadecimal digits.
    Bytes,
    /// As the type orders them in its own engine.
    Own,
}

/// The encodings of PostgreSQL's databases with characters that UTF-8 lacks (`src/backend/utils/mb/Unicode`): one such text cannot be converted.
const BEYOND_UTF8: [&str; 20] = [
    "EUC_CN",
    "EUC_JIS_2004",
    "EUC_JP",
    "EUC_KR",
    "EUC_TW",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "JOHAB",
    "LATIN3",
    "MULE_INTERNAL",
    "WIN1250",
    "WIN1251",
    "WIN1252",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "WIN1258",
    "WIN874",
];

/// What stands before the name of an encoding in what manifests state.
const TEXT_IN: &str = "text in ";

impl Form {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Number, "number"), (Self::Time, "time"), (Self::Text, "text"), (Self::Bytes, "bytes"), (Self::Own, "own")];

    /// Of a column whose type tells; those of SQLite hold values of any class.
    pub fn of(column: &Column) -> Option<Self> {
        match &column.wire {
            Wire::Postgres(kind) => Some(Self::of_postgres(kind)),
            Wire::Mysql(kind) => Some(Self::of_mysql(kind)),
            Wire::Sqlite => None,
        }
    }

    /// The same in a database of PostgreSQL whose texts are ordered so.
    pub fn of_in(column: &Column, texts: Self) -> Option<Self> {
        Self::of(column).map(|form| if form == Self::Text { texts } else { form })
    }

    fn of_postgres(kind: &PgType) -> Self {
        use PgType::{Bytes, Date, Float4, Float8, Int2, Int4, Int8, Numeric, Oid, Text, Timestamp, TimestampTz};
        match kind {
            Int2 | Int4 | Int8 | Oid | Float4 | Float8 | Numeric => Self::Number,
            Date | Timestamp | TimestampTz => Self::Time,
            Text => Self::Text,
            Bytes => Self::Bytes,
            _ => Self::Own,
        }
    }

    fn of_mysql(kind: &MysqlType) -> Self {
        use MysqlType::{Bit, Bytes, Date, Datetime, Decimal, Double, Float, RowEnd, Signed, Text, Timestamp, Unsigned, Year};
        match kind {
            Signed | Unsigned | Year | Bit(_) | Decimal | Float | Double => Self::Number,
            Date | Datetime | Timestamp | RowEnd => Self::Time,
            Text => Self::Text,
            Bytes => Self::Bytes,
            _ => Self::Own,
        }
    }

    /// Of the texts of a database of PostgreSQL in `encoding`.
    pub fn of_texts_in(encoding: &str) -> Self {
        BEYOND_UTF8.into_iter().find(|known| *known == encoding).map_or(Self::Text, Self::TextIn)
    }

    /// Whether a column that is ordered so can be compared by `other` too: what UTF-8 has is converted to it.
    pub fn goes_by(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::TextIn(_), Self::Text))
    }

    /// As manifests state it.
    pub fn to_text(self) -> String {
        match self {
            Self::TextIn(encoding) => format!("{TEXT_IN}{encoding}"),
            _ => Self::ALL.iter().find(|(form, _)| *form == self).map_or("", |(_, name)| name).to_owned(),
        }
    }

    /// The storage classes of SQLite whose values are ordered so.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Number => &["integer", "real"],
            Self::Text => &["text"],
            Self::Bytes => &["blob"],
            Self::Time | Self::Own | Self::TextIn(_) => &[],
        }
    }

    /// As manifests state it; nothing where it is of a later version.
    pub fn stated(text: &str) -> Option<Self> {
        if let Some(encoding) = text.strip_prefix(TEXT_IN) {
            return Some(Self::of_texts_in(encoding)).filter(|form| *form != Self::Text);
        }
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(form, _)| *form)
    }
}

/// What stands for the column in a comparison by `form`; nothing is known of it in manifests of earlier versions, which compared texts of
/// PostgreSQL alone by their bytes.
pub fn operand(engine: &str, column: &Column, form: Option<Form>) -> String {
    let of_mysql = matches!(engine, "mysql" | "mariadb");
    let name = if of_mysql { backticked(&column.name) } else { double_quoted(&column.name) };
    let is_text = |kind: &PgType| *kind == PgType::Text;
    let is_list_of_texts = |kind: &PgType| matches!(kind, PgType::Array(each) if is_text(each));
    match (&column.wire, form) {
        (Wire::Postgres(kind), Some(form)) if is_text(kind) => in_bytes(&format!("{name}::text"), form),
        (Wire::Postgres(kind), form) if is_text(kind) || form.is_some() && is_list_of_texts(kind) => format!("{name} COLLATE \"C\""),
        (Wire::Mysql(MysqlType::Text), Some(_)) => format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)"),
        (Wire::Sqlite, Some(_)) => format!("{name} COLLATE BINARY"),
        _ => name,
    }
}

/// The bytes of a text of PostgreSQL in whatever encoding the database is. One that has none takes bytes of all kinds, and converts them to nothing.
fn in_bytes(text: &str, form: Form) -> String {
    match form {
        Form::TextIn(encoding) => format!("convert_to({text}, '{encoding}')"),
        _ => format!("convert_to({text}, CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)"),
    }
}

/// What asks PostgreSQL for the greatest value of a column, as text.
pub fn greatest_in_postgres(table: &Table, column: &Column, form: Option<Form>) -> String {
    let name = double_quoted(&column.name);
    let operand = operand("postgres", column, form);
    if matches!(form, Some(Form::Text | Form::TextIn(_))) {
        // Of bytes its earlier versions know no maximum.
        let rows = table.conditions(&[format!("{name} IS NOT NULL")]);
        return format!("SELECT {name}::text FROM ONLY {}{rows} ORDER BY {operand} DESC LIMIT 1", table.sql_name);
    }
    format!("SELECT {} FROM ONLY {}{}", as_text(column, &format!("max({operand})")), table.sql_name, table.conditions(&[]))
}

/// The text of `value`, which is of the type of a column of PostgreSQL, with all that it has.
pub fn as_text(column: &Column, value: &str) -> String {
    match &column.wire {
        Wire::Postgres(PgType::Bytes) => format!("encode({value}, 'hex')"),
        // Six digits tell one from its neighbours, and say less than it is.
        Wire::Postgres(PgType::Float4) => format!("({value})::float8::text"),
        _ => format!("({value})::text"),
    }
}

/// The last value of a table that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Last {
    /// As the server writes it.
    pub text: String,
    /// How it is compared; nothing where an earlier version kept it.
    pub form: Option<Form>,
}

impl Last {
    /// A value of `form`. A text of ASCII ends a prefix alike in all encodings of PostgreSQL's databases: others of their characters have bytes
    /// above those of ASCII alone (PostgreSQL 15, section 24.3.1).
    pub fn new(text: String, form: Option<Form>) -> Self {
        let is_of_all = matches!(form, Some(Form::TextIn(_))) && text.is_ascii();
        Self { form: if is_of_all { Some(Form::Text) } else { form }, text }
    }

    /// What stands for the column in a comparison with it.
    pub fn operand(&self, engine: &str, column: &Column) -> String {
        if self.is_of_all_encodings(column) {
            return format!("{}::text COLLATE \"C\"", double_quoted(&column.name));
        }
        operand(engine, column, self.form)
    }

    /// Whether it is compared without a conversion, which a later text may not have.
    fn is_of_all_encodings(&self, column: &Column) -> bool {
        self.form == Some(Form::Text) && column.wire == Wire::Postgres(PgType::Text) && self.text.is_ascii()
    }

    /// As a literal of `engine` that `column` is compared with.
    pub fn literal(&self, engine: &str, column: &Column) -> String {
        let is_of_mysql = matches!(engine, "mysql" | "mariadb");
        let quoted = |text: &str| {
            let text = text.replace('\'', "''");
            if is_of_mysql { format!("'{}'", text.replace('\\', "\\\\")) } else { format!("'{text}'") }
        };
        let digits = self.text.strip_prefix('-').unwrap_or(&self.text);
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = self.text.parse::<f64>().is_ok_and(f64::is_finite) && self.text.bytes().any(|byte| byte.is_ascii_digit());
        let is_bytes = self.text.len().is_multiple_of(2) && self.text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.form {
            // What a FLOAT holds is nearer to it or farther from it than the digits say.
            Some(Form::Number) if is_number && column.wire == Wire::Mysql(MysqlType::Float) => {
                self.text.parse::<f32>().map_or_else(|_| self.text.clone(), |float| f64::from(float).to_string())
            }
            Some(form @ (Form::Text | Form::TextIn(_)))
                if column.wire == Wire::Postgres(PgType::Text) && !self.is_of_all_encodings(column) =>
            {
                in_bytes(&quoted(&self.text), form)
            }
            // A statement ends there.
            Some(Form::Text) if column.wire == Wire::Sqlite && self.text.contains('\0') => {
                format!("CAST(X'{}' AS TEXT)", hex::encode(&self.text))
            }
            Some(Form::Bytes) if is_bytes && engine == "postgres" => format!("'\\x{}'", self.text),
            Some(Form::Bytes) if is_bytes => format!("X'{}'", self.text),
            Some(Form::Number) if is_number && engine != "postgres" => self.text.clone(),
            // Sessions go by UTC; MySQL knows no offset that short.
            Some(Form::Time) if is_of_mysql => quoted(self.text.strip_suffix("+00").unwrap_or(&self.text)),
            None if is_whole && engine != "postgres" => self.text.clone(),
            _ => quoted(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_literal() {
        let column = |wire| Column { name: "at".into(), type_text: String::new(), nullable: true, generated: false, wire };
        let of = |engine, text: &str, form, wire| Last { text: text.into(), form }.literal(engine, &column(wire));
        let literal = |engine, text: &str, form| of(engine, text, form, Wire::Sqlite);
        let text = Wire::Postgres(PgType::Text);
        assert_eq!(of("postgres", "x' OR 1", Some(Form::Text), text.clone()), "'x'' OR 1'");
        assert_eq!(of("postgres", "ä' OR 1", Some(Form::Text), text.clone()), in_bytes("'ä'' OR 1'", Form::Text));
        assert_eq!(of("postgres", "ä' OR 1", Some(Form::of_texts_in("WIN1252")), text), "convert_to('ä'' OR 1', 'WIN1252')");
        assert_eq!(of("mysql", "0.3", Some(Form::Number), Wire::Mysql(MysqlType::Float)), "0.30000001192092896");
        assert_eq!(literal("postgres", "x' OR 1", None), "'x'' OR 1'");
        assert_eq!(literal("mariadb", "\\' OR 1", None), "'\\\\'' OR 1'");
        assert_eq!(literal("sqlite", "-12", None), "-12");
        assert_eq!(literal("sqlite", "0009", Some(Form::Text)), "'0009'");
        assert_eq!(literal("sqlite", "a\0'", Some(Form::Text)), "CAST(X'610027' AS TEXT)");
        assert_eq!(literal("sqlite", "1.5e+300", Some(Form::Number)), "1.5e+300");
        assert_eq!(literal("sqlite", "00FF", Some(Form::Bytes)), "X'00FF'");
        assert_eq!(literal("postgres", "00ff", Some(Form::Bytes)), "'\\x00ff'");
        assert_eq!(literal("postgres", "9", Some(Form::Number)), "'9'");
        assert_eq!(literal("mysql", "2026-01-31 12:00:00+00", Some(Form::Time)), "'2026-01-31 12:00:00'");
        for (text, form) in [("1 OR 1", Form::Number), ("inf", Form::Number), ("0' OR 1", Form::Bytes), ("nan", Form::Number)] {
            assert!(literal("sqlite", text, Some(form)).starts_with('\''), "{text}");
        }
    }
}
