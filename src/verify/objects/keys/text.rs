//! Keys out of what rclone prints: `lsf` (a path a line), `lsjson` (a JSON array of files), `hashsum` (a digest and a path a line).
//!
//! Only the keys are taken: sizes and dates in such lists are those of another moment. Directories are passed over.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// The forms that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `rclone lsf`
    Lsf,
    /// `rclone lsjson`
    Lsjson,
    /// `rclone hashsum`, `sha256sum`, …
    Hashsum,
    /// S3 Inventory: its `manifest.json`.
    Inventory,
}

impl Form {
    /// The form that a file's first bytes look like.
    pub fn of_beginning(beginning: &[u8]) -> Self {
        let text = String::from_utf8_lossy(beginning);
        let text = text.trim_start();
        if text.starts_with('[') {
            return Self::Lsjson;
        }
        if text.starts_with('{') {
            return Self::Inventory;
        }
        if text.lines().next().is_some_and(|line| path_of_hashsum(line).is_some()) { Self::Hashsum } else { Self::Lsf }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lsf" => Ok(Self::Lsf),
            "lsjson" => Ok(Self::Lsjson),
            "hashsum" => Ok(Self::Hashsum),
            "inventory" => Ok(Self::Inventory),
            other => Err(format!("unknown form `{other}`; expected `lsf`, `lsjson`, `hashsum` or `inventory`")),
        }
    }
}

/// Gives each path of the list to `put`, in the order of the list. Says what is wrong with it, and where.
pub fn paths(form: Form, input: impl Read, put: &mut dyn FnMut(String) -> Result<(), String>) -> Result<(), String> {
    match form {
        Form::Lsjson => {
            let mut json = serde_json::Deserializer::from_reader(BufReader::new(input));
            json.deserialize_seq(Files(put)).and_then(|()| json.end()).map_err(|error| error.to_string())
        }
        Form::Inventory => Err("an inventory is no list of paths".into()),
        Form::Lsf | Form::Hashsum => {
            for (number, line) in BufReader::new(input).split(b'\n').enumerate() {
                let about = |said: &str| format!("line {}: {said}", number + 1);
                let line = line.map_err(|error| about(&error.to_string()))?;
                let line = std::str::from_utf8(&line).map_err(|_| about("not UTF-8"))?;
                let line = line.strip_suffix('\r').unwrap_or(line);
                let path = match form {
                    _ if line.is_empty() => continue,
                    Form::Hashsum => path_of_hashsum(line).ok_or_else(|| about("expected a digest, two spaces and a path"))?,
                    _ => line,
                };
                if !path.ends_with('/') {
                    put(path.to_owned()).map_err(|said| about(&said))?;
                }
            }
            Ok(())
        }
    }
}

/// `HEX  PATH`, `HEX *PATH`; rclone writes `UNSUPPORTED` or `ERROR`, or as many spaces, where it has no digest.
fn path_of_hashsum(line: &str) -> Option<&str> {
    let blank = line.len() - line.trim_start_matches(' ').len();
    if blank >= 10 {
        return line.get(blank..).filter(|path| !path.is_empty());
    }
    let (digest, path) = line.split_once(' ')?;
    let path = path.strip_prefix([' ', '*'])?;
    let fits = (digest.len() >= 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())) || matches!(digest, "UNSUPPORTED" | "ERROR");
    (fits && !path.is_empty()).then_some(path)
}

/// One file of `lsjson`; it says more, which is not needed.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "Path")]
    path: String,
    #[serde(rename = "IsDir", default)]
    is_dir: bool,
}

/// The array, one file in memory at a time.
struct Files<'a>(&'a mut dyn FnMut(String) -> Result<(), String>);

impl<'de> Visitor<'de> for Files<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of files as `rclone lsjson` prints it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut files: A) -> Result<(), A::Error> {
        while let Some(file) = files.next_element::<File>()? {
            if !file.is_dir {
                (self.0)(file.path).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(form: Form, text: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        paths(form, text.as_bytes(), &mut |path| {
            found.push(path);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn each_form_gives_its_files_and_no_directories() {
        assert_eq!(all(Form::Lsf, "a b\ndir/\ndir/c\r\n\n").unwrap(), ["a b", "dir/c"]);
        let json = r#"[
            {"Path":"dir","Name":"dir","Size":-1,"IsDir":true},
            {"Path":"dir/é\n","Name":"é","Size":6,"MimeType":"x","ModTime":"2026-01-31T02:00:00Z","IsDir":false,"Tier":"hot"}]"#;
        assert_eq!(all(Form::Lsjson, json).unwrap(), ["dir/é\n"]);
        let sums = format!("{}  a  b\n{} *c\nUNSUPPORTED  d\n{}e\n", "0f".repeat(16), "a".repeat(64), " ".repeat(34));
        assert_eq!(all(Form::Hashsum, &sums).unwrap(), ["a  b", "c", "d", "e"]);
        assert!(all(Form::Hashsum, "no digest\n").unwrap_err().contains("line 1"));
        assert!(all(Form::Lsjson, "[{\"Path\":1}]").is_err() && all(Form::Lsjson, "[] x").is_err());
    }

    #[test]
    fn forms_are_known_by_their_beginning() {
        assert_eq!(Form::of_beginning(b" [\n{"), Form::Lsjson);
        assert_eq!(Form::of_beginning(b"{\"sourceBucket\""), Form::Inventory);
        assert_eq!(Form::of_beginning(format!("{}  x", "0f".repeat(16)).as_bytes()), Form::Hashsum);
        assert_eq!(Form::of_beginning(b"deadbeef/x y"), Form::Lsf);
        assert_eq!("lsf".parse(), Ok(Form::Lsf));
        assert!("csv".parse::<Form>().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_a_mistake(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for form in [Form::of_beginning(&bytes), Form::Lsf, Form::Hashsum, Form::Lsjson] {
                let _ = paths(form, bytes.as_slice(), &mut |_| Ok(()));
            }
        }
    }
}
