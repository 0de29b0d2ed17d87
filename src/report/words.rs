//! Figures in words: lengths of time, instants, sizes, shares; and log text made visible. One spelling for the page and for its charts.

use crate::model::clock::Timestamp;

/// `1,234,567`
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time, to the second below a day: `840 ms`, `4.2 s`, `12 min 3 s`, `3 h 20 min 5 s`, `4 d 2 h 20 min`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let joined = |parts: &[(u64, &str)]| {
        let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
        parts.join(" ")
    };
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 if ms.is_multiple_of(1000) => format!("{seconds} s"),
        1..=59 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..=86_399 => joined(&[(seconds / 3600, "h"), (seconds % 3600 / 60, "min"), (seconds % 60, "s")]),
        _ => joined(&[(seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h"), (seconds % 3600 / 60, "min")]),
    }
}

/// `2026-01-31 02:00 UTC`
pub fn when(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-01-31 02:00`, for a column whose head says that it is UTC
pub fn minute(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M").to_string()
}

/// `2026-01-31 02:00:07`, for a column whose head says that it is UTC
pub fn second(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-01-31 02:00:07.250 UTC`
pub fn instant(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// `31 January 2026`
pub fn day(at: Timestamp) -> String {
    at.to_chrono().format("%-d %B %Y").to_string()
}

/// `1.4 GiB`
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut unit = 0;
    let mut scale = 1024_u64;
    while n / scale >= 1024 && unit + 1 < UNITS.len() {
        scale *= 1024;
        unit += 1;
    }
    let tenths = u128::from(n) * 10 / u128::from(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Millionths as per cent, cut and never rounded up: 999,999 ppm is `99.99 %`, not 100.
pub fn percent(ppm: u64) -> String {
    match ppm % 10_000 / 100 {
        0 if ppm.is_multiple_of(10_000) => format!("{} %", ppm / 10_000),
        rest => format!("{}.{rest:02} %", ppm / 10_000),
    }
}

/// `1 recovery point`, `3 recovery points`
pub fn count_of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// A resource's kind for people; one that is not known here as it is written.
pub fn kind(kind: &str) -> &str {
    match kind {
        "s3" => "S3 bucket",
        "dynamodb" => "DynamoDB table",
        "rds-postgres" => "PostgreSQL on RDS",
        "rds-mysql" => "MySQL or MariaDB on RDS",
        "files" => "files",
        other => other,
    }
}

/// What a probe of the isolation guard looks for; one that is not known here as it is written.
pub fn probe(name: &str) -> String {
    let words = match name {
        "name-prefix" => "its name has the prefix of restores",
        "account" => "the account is the isolated one",
        "restoring-account" => "the restoring credentials belong to the account that is meant",
        "no-backup-selection" => "no backup plan would pick the copy up",
        "target-absent" => "nothing of that name was there before",
        "public-access-blocked" => "public access is blocked",
        "not-public" => "it cannot be reached from outside",
        "versioned" => "the bucket keeps versions",
        "empty" => "the bucket was empty",
        "tagged" => "it carries the drill's tag",
        "no-deletion-protection" => "it can be deleted again",
        "subnet-group" => "it is in the isolated subnet group",
        "security-groups" => "it has the isolated security groups, and no others",
        "vpc" => "it is in the isolated VPC",
        "kms-key" => "it is encrypted with the isolated key",
        "outside-the-vault" => "the working directory is apart from the vault",
        other => return other.replace('-', " "),
    };
    words.to_owned()
}

/// With a capital at the beginning.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Text as the log has it, made safe to look at: control characters, characters that turn the direction of writing and invisible ones
/// are spelled `\u{…}`, so that a key can neither hide nor rearrange what stands beside it.
pub fn visible(text: &str) -> String {
    // Blanks at an end, or one after another, are lost on a page.
    let inner = text.trim_matches(' ');
    let spelled = |n: usize| "\\u{20}".repeat(n);
    let leading = text.len() - text.trim_start_matches(' ').len();
    let mut out = spelled(leading);
    out.extend(inner.chars().map(|c| if c.is_control() { c.escape_unicode().collect() } else { unseen(c) }));
    out + &spelled(text.len() - leading - inner.len())
}

/// A character that shows, or the spelling of one that hides or turns the direction of writing.
pub fn unseen(c: char) -> String {
    let is_unseen = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e007f}');
    if is_unseen { c.escape_unicode().collect() } else { c.to_string() }
}

/// One word for a POSIX shell, in single quotes.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well_and_never_round_up() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [number(0), number(999), number(1000), number(1_234_567)].each_ref().map(|s| s.as_str())
        );
        let told = [0, 840, 4250, 12_000, 723_000, 12_005_000, 354_000_000].map(duration);
        assert_eq!(told, ["0 ms", "840 ms", "4.2 s", "12 s", "12 min 3 s", "3 h 20 min 5 s", "4 d 2 h 20 min"]);
        assert_eq!([1_000_000, 999_999, 50_000, 123_456].map(percent), ["100 %", "99.99 %", "5 %", "12.34 %"]);
        assert_eq!([0, 1023, 1024, 1_503_238_553, u64::MAX].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.3 GiB", "15.9 EiB"]);
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        assert_eq!(visible("a\u{202e}b\n\u{200b}é"), "a\\u{202e}b\\u{a}\\u{200b}é");
        assert_eq!([visible("  "), visible(" a b "), visible("")], ["\\u{20}\\u{20}", "\\u{20}a b\\u{20}", ""]);
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
