//! Days of the proleptic Gregorian calendar.
//!
//! Not here: what an engine calls a date that no calendar has (`mysql_decode`), and dates as people write them (`logical_text`, `display`).

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; none for one that no calendar has. Year 0 is MySQL's zero date.
#[inline]
pub fn days_from_civil(year: u16, month: u8, day: u8) -> Option<i64> {
    // Days of the year before each month of a common year, and of the year after the last.
    const BEFORE: [u16; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    // Days before 1970 of which the first is that of 0001-01-01.
    const TO_1970: i64 = 719_162;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (before, after) = (*BEFORE.get(usize::from(month).checked_sub(1)?)?, *BEFORE.get(usize::from(month))?);
    if year == 0 || day == 0 || u16::from(day) > after - before + u16::from(leap && month == 2) {
        return None;
    }
    let past = i64::from(year) - 1;
    let whole_years = past * 365 + past / 4 - past / 100 + past / 400;
    Some(whole_years + i64::from(before) + i64::from(leap && month > 2) + i64::from(day) - 1 - TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(year in 0u16..12_000, month in 0u8..15, day in 0u8..35) {
            let date = chrono::NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).filter(|_| year > 0);
            let expected = date.map(|date| date.signed_duration_since(chrono::NaiveDate::default()).num_days());
            prop_assert_eq!(days_from_civil(year, month, day), expected);
        }
    }
}
