//! Thresholds such as `> 0`, `>= 26h` and `!= baseline`: when a check's number is an error or a warning.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An exact decimal number: `units` / 10^`scale`. SQL numbers never pass through floating point here.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    units: i128,
    scale: u32,
}

impl Number {
    /// A whole number.
    pub fn whole(value: i128) -> Self {
        Self { units: value, scale: 0 }
    }

    fn cmp_exact(self, other: Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        let raise = |n: Self| n.units.checked_mul(10i128.checked_pow(scale - n.scale)?);
        Some(raise(self)?.cmp(&raise(other)?))
    }
}

impl FromStr for Number {
    type Err = String;

    /// Digits with an optional sign and fraction, at most 30 of them; no exponent, NaN or infinity.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a decimal number");
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all: String = [whole, fraction].concat();
        if all.is_empty() || all.len() > 30 || !all.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let units: i128 = all.parse().map_err(|_| wrong())?;
        Ok(Self { units: sign * units, scale: u32::try_from(fraction.len()).map_err(|_| wrong())? })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Number(Number),
    /// In seconds.
    Span(u64),
    Baseline,
}

/// A comparison that, when it holds, makes a check fail (`error_if`) or warn (`warn_if`).
#[derive(Clone, Debug)]
pub struct Threshold {
    operator: Operator,
    bound: Bound,
    text: String,
}

impl Threshold {
    /// Whether `actual` is beyond the threshold. A `baseline` that is asked for and absent, or a number too long to compare, is an error: never a pass.
    pub fn is_beyond(&self, actual: Number, baseline: Option<Number>) -> Result<bool, String> {
        let bound = match self.bound {
            Bound::Number(number) => number,
            Bound::Span(seconds) => Number::whole(i128::from(seconds)),
            Bound::Baseline => baseline.ok_or("the manifest holds no baseline for this check")?,
        };
        let order = actual.cmp_exact(bound).ok_or("the number is too long to be compared exactly")?;
        Ok(match self.operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
        })
    }

    /// Whether it compares with a length of time.
    pub fn is_span(&self) -> bool {
        matches!(self.bound, Bound::Span(_))
    }

    /// Whether it compares with the manifest's baseline.
    pub fn is_baseline(&self) -> bool {
        matches!(self.bound, Bound::Baseline)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let forms = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("!=", Operator::NotEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("=", Operator::Equal),
        ];
        let wrong = || {
            format!("`{text}` is not a threshold; expected <, <=, >, >=, = or != and a number, a length of time such as 26h, or `baseline`")
        };
        let (operator, rest) =
            forms.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?.trim()))).ok_or_else(wrong)?;
        let bound = if rest == "baseline" {
            Bound::Baseline
        } else if let Some(seconds) = span(rest) {
            Bound::Span(seconds)
        } else {
            Bound::Number(rest.parse().map_err(|_| wrong())?)
        };
        Ok(Self { operator, bound, text: text.to_owned() })
    }
}

/// Seconds of `90s`, `15m`, `26h`, `35d`.
pub fn span(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(threshold: &str, actual: &str, baseline: Option<&str>) -> Result<bool, String> {
        let number = |text: &str| text.parse::<Number>().unwrap();
        threshold.parse::<Threshold>().unwrap().is_beyond(number(actual), baseline.map(number))
    }

    #[test]
    fn numbers_compare_exactly_whatever_their_scale() {
        assert_eq!(beyond("> 0", "0.000", None), Ok(false));
        assert_eq!(beyond("> 0", "0.001", None), Ok(true));
        assert_eq!(beyond("!= 1.50", "1.5", None), Ok(false));
        assert_eq!(beyond("<= -2", "-2.0", None), Ok(true));
        assert_eq!(beyond("= 100000000000000000000", "100000000000000000001", None), Ok(false));
    }

    #[test]
    fn spans_are_seconds_and_baselines_must_be_there() {
        assert_eq!(beyond("> 26h", "93600", None), Ok(false));
        assert_eq!(beyond("> 26h", "93601", None), Ok(true));
        assert_eq!(beyond("!= baseline", "7", Some("7")), Ok(false));
        assert!(beyond("!= baseline", "7", None).is_err());
    }

    #[test]
    fn what_is_not_a_threshold_is_refused() {
        for text in ["", "0", "> ", "> x", "~ 1", "> 1e5", "> 26w", "> NaN"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
        assert!("1e5".parse::<Number>().is_err() && "".parse::<Number>().is_err() && "-".parse::<Number>().is_err());
    }
}
