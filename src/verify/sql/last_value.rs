//! The last value of a column that counts, as text that a server compares.
//!
//! Not here: how it comes about, and what is done with it (`watermark`).

use crate::verify::sql::rows::mysql_decode::MysqlType;

/// How the text of a value is written in a statement, where its engine needs to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As a number: SQLite orders numbers before texts.
    Number,
    /// As a text, be it one of digits.
    Text,
    /// The hexadecimal digits of bytes.
    Bytes,
}

impl Form {
    const ALL: [(Self, &'static str); 3] = [(Self::Number, "number"), (Self::Text, "text"), (Self::Bytes, "bytes")];

    /// Of a column of MySQL or MariaDB: what is no number is never compared as one.
    pub fn of_mysql(kind: &MysqlType) -> Option<Self> {
        use MysqlType::{Bit, Bytes, Decimal, Double, Float, Signed, Unsigned, Year};
        match kind {
            Signed | Unsigned | Year | Bit(_) | Decimal | Float | Double => None,
            Bytes => Some(Self::Bytes),
            _ => Some(Self::Text),
        }
    }

    /// As manifests state it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(form, _)| *form == self).map_or("", |(_, name)| name)
    }

    /// As manifests state it; nothing where it is of a later version.
    pub fn stated(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(form, _)| *form)
    }
}

/// The last value of a table that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Last {
    /// As the server writes it.
    pub text: String,
    /// How it is written; nothing where the column's type tells, as in manifests of earlier versions.
    pub form: Option<Form>,
}

impl Last {
    /// As a literal of `engine`.
    pub fn literal(&self, engine: &str) -> String {
        let is_of_mysql = matches!(engine, "mysql" | "mariadb");
        let quoted = || {
            let text = self.text.replace('\'', "''");
            if is_of_mysql { format!("'{}'", text.replace('\\', "\\\\")) } else { format!("'{text}'") }
        };
        let digits = self.text.strip_prefix('-').unwrap_or(&self.text);
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = self.text.parse::<f64>().is_ok_and(f64::is_finite) && self.text.bytes().any(|byte| byte.is_ascii_digit());
        match self.form {
            Some(Form::Bytes) if self.text.bytes().all(|byte| byte.is_ascii_hexdigit()) => format!("X'{}'", self.text),
            Some(Form::Number) if is_number => self.text.clone(),
            None if is_whole && engine != "postgres" => self.text.clone(),
            _ => quoted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_literal() {
        let literal = |engine, text: &str, form| Last { text: text.into(), form }.literal(engine);
        assert_eq!(literal("postgres", "x' OR 1", None), "'x'' OR 1'");
        assert_eq!(literal("mariadb", "\\' OR 1", None), "'\\\\'' OR 1'");
        assert_eq!(literal("sqlite", "-12", None), "-12");
        assert_eq!(literal("sqlite", "0009", Some(Form::Text)), "'0009'");
        assert_eq!(literal("sqlite", "1.5e+300", Some(Form::Number)), "1.5e+300");
        assert_eq!(literal("sqlite", "00FF", Some(Form::Bytes)), "X'00FF'");
        for (text, form) in [("1 OR 1", Form::Number), ("inf", Form::Number), ("0' OR 1", Form::Bytes), ("nan", Form::Number)] {
            assert!(literal("sqlite", text, Some(form)).starts_with('\''), "{text}");
        }
    }
}
