//! The form parameters of the query protocol: `Name=value`, lists `Name.Member.N`, structures in lists `Name.Member.N.Field`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::sandbox::control::answer::Refused;

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Parses `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Self {
        Self { fields: form_urlencoded::parse(body).into_owned().collect() }
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| Refused::new("MissingParameter", format!("The request must contain the parameter {name}.")))
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(invalid(format!("{name} must be true or false, not {other}"))),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<u32>, Refused> {
        let parse = |text: &str| text.parse().map_err(|_| invalid(format!("{name} must be a number, not {text}")));
        self.get(name).map(parse).transpose()
    }

    /// A list, whatever the name of its members, in the order of their numbers. `None` when the list is not there at all.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let mut found: Vec<(u32, String)> = self
            .under(name)
            .filter_map(|(rest, value)| {
                let (_, number) = rest.split_once('.')?;
                Some((number.parse().ok()?, value.to_owned()))
            })
            .collect();
        found.sort();
        (!found.is_empty()).then(|| found.into_iter().map(|(_, value)| value).collect())
    }

    /// Tags: `Tags.Tag.N.Key` and `.Value`. `None` when there are none.
    pub fn tags(&self) -> Option<BTreeMap<String, String>> {
        let mut tags = BTreeMap::new();
        for (rest, key) in self.under("Tags") {
            if let Some(stem) = rest.strip_suffix(".Key") {
                let value = self.fields.get(&format!("Tags.{stem}.Value")).cloned().unwrap_or_default();
                tags.insert(key.to_owned(), value);
            }
        }
        (!tags.is_empty()).then_some(tags)
    }

    /// A list of structures with a name and a value: `NAME.Member.N.KEY` and `.VALUE`.
    pub fn structures(&self, name: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for (rest, text) in self.under(name) {
            if let Some(stem) = rest.strip_suffix(key).filter(|stem| stem.ends_with('.')) {
                found.insert(text.to_owned(), self.fields.get(&format!("{name}.{stem}{value}")).cloned().unwrap_or_default());
            }
        }
        found
    }

    /// A time as ISO 8601.
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refused> {
        let parse = |text: &str| {
            DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| invalid(format!("{name} must be a time, not {text}")))
        };
        self.get(name).map(parse).transpose()
    }

    /// Filters: `Filters.Filter.N.Name` and `.Values.Value.M`.
    pub fn filters(&self) -> BTreeMap<String, Vec<String>> {
        let mut filters = BTreeMap::new();
        for (rest, filter) in self.under("Filters") {
            if let Some(stem) = rest.strip_suffix(".Name") {
                let values = self.list(&format!("Filters.{stem}.Values")).unwrap_or_default();
                filters.insert(filter.to_owned(), values);
            }
        }
        filters
    }

    fn under<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().filter_map(move |(field, value)| Some((field.strip_prefix(name)?.strip_prefix('.')?, value.as_str())))
    }
}

/// HTTP 400 `InvalidParameterValue`.
pub fn invalid(message: impl Into<String>) -> Refused {
    Refused::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_tags_and_filters() {
        let form = Form::parse(
            b"V.VpcSecurityGroupId.2=b&V.VpcSecurityGroupId.1=a&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v%201&Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=postgres",
        );
        assert_eq!(form.list("V"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(form.list("W"), None);
        assert_eq!(form.tags().unwrap()["k"], "v 1");
        assert_eq!(form.filters()["engine"], ["postgres"]);
        assert_eq!(form.need("X").unwrap_err().code, "MissingParameter");
        let form = Form::parse(b"P.Parameter.1.ParameterName=a&P.Parameter.1.ParameterValue=b&T=2026-01-31T02:00:00Z&U=soon");
        assert_eq!(form.structures("P", "ParameterName", "ParameterValue")["a"], "b");
        assert_eq!(form.time("T").unwrap().unwrap().timestamp(), 1_769_824_800);
        assert!(form.time("U").is_err() && form.time("V").unwrap().is_none());
    }
}
