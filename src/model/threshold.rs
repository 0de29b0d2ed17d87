//! Thresholds of SQL checks: `> 0`, `>= 1.5`, `> 24h`, `!= baseline`, `< 0.99 * baseline`; exact decimals, no floats.
//!
//! One arithmetic for who runs a check and for who verifies what was recorded of it.

use std::cmp::Ordering;
use std::time::Duration;

use crate::model::check_kind::CheckKind;

/// A decimal: units × 10^−9, exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Decimal(i128);

const SCALE: u32 = 9;

impl Decimal {
    /// From text such as `-12.50` or `1.5e3`; none for what is no number, too large, or finer than 10^−9.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || all.len() > 60 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let shift = i32::try_from(SCALE).ok()? - i32::try_from(fraction.len()).ok()? + exponent;
        let mut digits = all.trim_start_matches('0').to_owned();
        match shift {
            0..=60 => digits.push_str(&"0".repeat(usize::try_from(shift).ok()?)),
            -60..0 => {
                let keep = digits.len().saturating_sub(usize::try_from(-shift).ok()?);
                if digits[keep..].bytes().any(|digit| digit != b'0') {
                    return None;
                }
                digits.truncate(keep);
            }
            _ => return None,
        }
        let units: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        Some(Self(if negative { -units } else { units }))
    }

    /// A whole number.
    pub fn whole(value: u64) -> Self {
        Self(i128::from(value) * 10i128.pow(SCALE))
    }

    fn times(self, other: Self) -> Option<Self> {
        // The product has twice the scale; rounding towards zero is far below what anyone writes as a factor.
        Some(Self(self.0.checked_mul(other.0)? / 10i128.pow(SCALE)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Greater,
    AtLeast,
    Less,
    AtMost,
    Equal,
    Different,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bound {
    Value(Decimal),
    /// So many times the baseline.
    Baseline(Decimal),
}

/// When a check fails or warns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Threshold {
    text: String,
    operator: Operator,
    bound: Bound,
}

impl Threshold {
    /// Parses a threshold for a check of `kind`; says what is wrong otherwise.
    pub fn parse(text: &str, kind: CheckKind) -> Result<Self, String> {
        const OPERATORS: &[(&str, Operator)] = &[
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            ("!=", Operator::Different),
            ("<>", Operator::Different),
            ("==", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("=", Operator::Equal),
        ];
        let trimmed = text.trim();
        let (operator, rest) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| trimmed.strip_prefix(sign).map(|rest| (*operator, rest.trim())))
            .ok_or("expected an operator (>, >=, <, <=, =, !=) and a value")?;
        let bound = match kind {
            CheckKind::BaselineScalar | CheckKind::Canary => {
                let factor = rest.strip_suffix("baseline").map(str::trim).ok_or("expected such as `!= baseline` or `< 0.99 * baseline`")?;
                let factor = if factor.is_empty() { Some("1") } else { factor.strip_suffix('*').map(str::trim) };
                Bound::Baseline(factor.and_then(Decimal::parse).ok_or("expected such as `0.99 * baseline`")?)
            }
            CheckKind::Freshness => {
                let age = duration(rest).ok_or("expected an age such as `26h` or `7d`")?;
                Bound::Value(Decimal::whole(age.as_secs()))
            }
            CheckKind::Violations | CheckKind::Scalar => Bound::Value(Decimal::parse(rest).ok_or("expected a number")?),
        };
        Ok(Self { text: trimmed.to_owned(), operator, bound })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True where `value` is beyond; an error where a baseline is asked for and there is none.
    pub fn is_met(&self, value: Decimal, baseline: Option<Decimal>) -> Result<bool, String> {
        let bound = match self.bound {
            Bound::Value(bound) => bound,
            Bound::Baseline(factor) => baseline.ok_or("there is no baseline")?.times(factor).ok_or("the baseline is too large")?,
        };
        let order = value.cmp(&bound);
        Ok(match self.operator {
            Operator::Greater => order == Ordering::Greater,
            Operator::AtLeast => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::Different => order != Ordering::Equal,
        })
    }
}

/// `90s`, `15m`, `2h`, `7d`.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].trim().parse().ok()?;
    number.checked_mul(seconds).filter(|seconds| *seconds < 1 << 40).map(Duration::from_secs)
}

/// Seconds since the epoch of a stamp as the engines print it: `2026-01-31 02:00:00[.5][+00]`, with `T` and `Z` as well, a date alone, or seconds.
/// A stamp without a zone is UTC, as the session is. None for what is no time, or one that microseconds cannot be counted to.
pub fn stamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds).filter(|seconds| seconds.unsigned_abs() < 1 << 42);
    }
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    if let Some(time) = zoned.iter().find_map(|format| chrono::DateTime::parse_from_str(text, format).ok()) {
        return Some(time.timestamp());
    }
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let wall = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    if let Some(time) = wall.iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(plain, format).ok()) {
        return Some(time.and_utc().timestamp());
    }
    chrono::NaiveDate::parse_from_str(plain, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|time| time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let parse = |text| Decimal::parse(text).unwrap();
        assert!(parse("0.1") < parse("0.100000001") && parse("-2") < parse("1e0"));
        assert_eq!(parse("1.50e2"), Decimal::whole(150));
        assert_eq!(parse("123456789012345678901"), parse("123456789012345678901.0"));
        for bad in ["", "x", "1.2.3", "NaN", "1e99", "0.0000000001", "-", "1 2"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn thresholds_compare_as_written() {
        let met = |text: &str, kind, value: &str, baseline: Option<&str>| {
            Threshold::parse(text, kind).unwrap().is_met(Decimal::parse(value).unwrap(), baseline.map(|b| Decimal::parse(b).unwrap()))
        };
        assert_eq!(met("> 0", CheckKind::Violations, "0", None), Ok(false));
        assert_eq!(met(">= 1.5", CheckKind::Scalar, "1.5", None), Ok(true));
        assert_eq!(met("> 24h", CheckKind::Freshness, "86401", None), Ok(true));
        assert_eq!(met("!= baseline", CheckKind::BaselineScalar, "5", Some("5")), Ok(false));
        assert_eq!(met("< 0.9 * baseline", CheckKind::BaselineScalar, "89", Some("100")), Ok(true));
        assert!(met("!= baseline", CheckKind::BaselineScalar, "5", None).is_err());
        for (bad, kind) in
            [("0", CheckKind::Scalar), ("> x", CheckKind::Scalar), ("> 5", CheckKind::Freshness), ("> 5", CheckKind::BaselineScalar)]
        {
            assert!(Threshold::parse(bad, kind).is_err(), "{bad}");
        }
    }

    #[test]
    fn stamps_of_every_engine() {
        for text in [
            "2026-01-31 02:00:00",
            "2026-01-31 02:00:00.25",
            "2026-01-31 03:00:00+01",
            "2026-01-31T02:00:00Z",
            "1769824800",
            "2026-01-31 02:00:00+00",
        ] {
            assert_eq!(stamp(text), Some(1_769_824_800), "{text}");
        }
        assert_eq!(stamp("0000-00-00 00:00:00"), None);
        assert_eq!(stamp("infinity"), None);
        assert_eq!((stamp("9223372036854775807"), stamp("-9223372036854775808")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = (Decimal::parse(&text), duration(&text), stamp(&text));
            let _ = Threshold::parse(&text, CheckKind::Scalar);
        }
    }
}
