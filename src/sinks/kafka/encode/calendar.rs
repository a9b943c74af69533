//! Postgres's dates and times (`datestyle=ISO`) as numbers: proleptic Gregorian, years of any length, `BC`.

use super::number::put_padded;

pub(super) const DAY_US: i64 = 86_400_000_000;
const SECOND_US: i64 = 1_000_000;

const NOT_A_DATE: &str = "is not a date";
const NOT_A_TIME: &str = "is not a time";
const INFINITE: &str = "is infinite";

/// A day of the calendar. Year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

/// A moment without a zone, or in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub(super) days: i64,
    /// Microseconds since midnight; below a day.
    pub(super) day_us: i64,
}

impl Moment {
    /// Microseconds since 1970; `None` past the year 294247, where 64 bits end and Postgres does not.
    pub(super) fn since_epoch_us(self) -> Option<i64> {
        i64::try_from(i128::from(self.days) * i128::from(DAY_US) + i128::from(self.day_us)).ok()
    }
}

impl Date {
    /// Days since 1970-01-01, by counting years from March (H. Hinnant, "chrono-compatible low-level date algorithms").
    pub(super) fn since_epoch_days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The inverse of [`Self::since_epoch_days`].
    pub(super) fn of_days(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day: day_of_year - (153 * shifted + 2) / 5 + 1 }
    }

    /// Appends `2026-11-21`; years past 9999 with `+`, before year 0 with `-`, as ISO 8601 and Java write them.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self.year {
            10_000.. => out.push(b'+'),
            0..=9_999 => {}
            _ => out.push(b'-'),
        }
        put_padded(self.year.unsigned_abs(), 4, out);
        out.push(b'-');
        put_padded(self.month.unsigned_abs(), 2, out);
        out.push(b'-');
        put_padded(self.day.unsigned_abs(), 2, out);
    }
}

/// Reads `YYYY-MM-DD[ BC]`.
pub(super) fn read_date(text: &[u8]) -> Result<Date, &'static str> {
    if is_infinite(text) {
        return Err(INFINITE);
    }
    let (day, before_christ) = split_era(text);
    read_day(day, before_christ)
}

/// Splits ` BC` off: the rest, and whether it was there.
fn split_era(text: &[u8]) -> (&[u8], bool) {
    text.strip_suffix(b" BC").map_or((text, false), |rest| (rest, true))
}

/// Reads `YYYY-MM-DD`.
fn read_day(text: &[u8], before_christ: bool) -> Result<Date, &'static str> {
    let mut parts = text.split(|byte| *byte == b'-');
    let mut next = || parts.next().and_then(number).ok_or(NOT_A_DATE);
    let (year, month, day) = (next()?, next()?, next()?);
    let date = Date { year: if before_christ { 1 - year } else { year }, month, day };
    let exists = year > 0 && (1..=12).contains(&month) && Date::of_days(date.since_epoch_days()) == date;
    if exists && parts.next().is_none() { Ok(date) } else { Err(NOT_A_DATE) }
}

/// Reads `YYYY-MM-DD HH:MM:SS[.ffffff][+HH[:MM[:SS]]][ BC]`, as UTC if it has an offset.
pub(super) fn read_timestamp(text: &[u8]) -> Result<Moment, &'static str> {
    if is_infinite(text) {
        return Err(INFINITE);
    }
    let (text, before_christ) = split_era(text);
    let space = text.iter().position(|byte| *byte == b' ').ok_or(NOT_A_TIME)?;
    let date = read_day(&text[..space], before_christ)?;
    let (time, offset_us) = split_offset(&text[space + 1..])?;
    let day_us = read_time(time)? - offset_us;
    Ok(Moment { days: date.since_epoch_days() + day_us.div_euclid(DAY_US), day_us: day_us.rem_euclid(DAY_US) })
}

/// Reads `HH:MM:SS[.ffffff]` up to 24:00:00, in microseconds.
pub(super) fn read_time(text: &[u8]) -> Result<i64, &'static str> {
    let time_us = read_clock(text)?;
    if time_us <= DAY_US { Ok(time_us) } else { Err(NOT_A_TIME) }
}

/// Reads `HH..:MM:SS[.ffffff]`, any number of hours, in microseconds.
pub(super) fn read_clock(text: &[u8]) -> Result<i64, &'static str> {
    let (clock, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], read_fraction(&text[at + 1..]).ok_or(NOT_A_TIME)?),
        None => (text, 0),
    };
    let mut parts = clock.split(|byte| *byte == b':');
    let mut next = || parts.next().and_then(number).ok_or(NOT_A_TIME);
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    if minutes >= 60 || seconds >= 60 || parts.next().is_some() {
        return Err(NOT_A_TIME);
    }
    Ok((hours * 3_600 + minutes * 60 + seconds) * SECOND_US + fraction)
}

/// Splits `HH:MM:SS+HH[:MM[:SS]]`: the time, and the offset in microseconds (0 without one).
pub(super) fn split_offset(text: &[u8]) -> Result<(&[u8], i64), &'static str> {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'+' | b'-')) else { return Ok((text, 0)) };
    let mut parts = text[at + 1..].split(|byte| *byte == b':');
    let mut seconds = 0;
    for unit in [3_600, 60, 1] {
        seconds += unit * parts.next().map_or(Some(0), number).ok_or(NOT_A_TIME)?;
    }
    if parts.next().is_some() {
        return Err(NOT_A_TIME);
    }
    let sign = if text[at] == b'-' { -1 } else { 1 };
    Ok((&text[..at], sign * seconds * SECOND_US))
}

/// Whether the text is Postgres's infinity, of any kind of time.
pub(super) fn is_infinite(text: &[u8]) -> bool {
    matches!(text, b"infinity" | b"-infinity")
}

/// Appends `HH:MM:SS`, and a fraction of `digits` digits (`None`: as many as it needs).
pub(super) fn put_clock(day_us: i64, digits: Option<usize>, out: &mut Vec<u8>) {
    let (seconds, fraction) = (day_us / SECOND_US, day_us % SECOND_US);
    put_padded((seconds / 3_600).unsigned_abs(), 2, out);
    for part in [seconds / 60 % 60, seconds % 60] {
        out.push(b':');
        put_padded(part.unsigned_abs(), 2, out);
    }
    match digits {
        Some(0) => {}
        None if fraction == 0 => {}
        Some(_) | None => {
            let start = out.len();
            out.push(b'.');
            put_padded(fraction.unsigned_abs(), 6, out);
            let shortest = || out.iter().rposition(|byte| *byte != b'0').map_or(out.len(), |last| last + 1);
            let end = digits.map_or_else(shortest, |digits| start + 1 + digits.min(6));
            out.truncate(end);
        }
    }
}

/// A fraction of a second in microseconds: up to six digits.
fn read_fraction(digits: &[u8]) -> Option<i64> {
    let missing = 6_usize.checked_sub(digits.len())?;
    let scale = 10_i64.checked_pow(u32::try_from(missing).ok()?)?;
    Some(number(digits)? * scale)
}

/// Up to nine digits.
pub(super) fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back() {
        let check = |text: &str, days: i64, printed: &str| {
            let date = read_date(text.as_bytes()).unwrap();
            assert_eq!(date.since_epoch_days(), days, "{text}");
            assert_eq!(Date::of_days(days), date, "{text}");
            let mut out = Vec::new();
            date.put(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), printed);
        };
        check("1970-01-01", 0, "1970-01-01");
        check("1969-12-31", -1, "1969-12-31");
        check("2000-02-29", 11_016, "2000-02-29");
        check("2026-11-21", 20_778, "2026-11-21");
        check("10000-01-01", 2_932_897, "+10000-01-01");
        check("0001-01-01", -719_162, "0001-01-01");
        check("0001-12-31 BC", -719_163, "0000-12-31");
        check("0044-03-15 BC", -735_160, "-0043-03-15");
        check("4713-01-01 BC", -2_440_550, "-4712-01-01");
        for text in ["", "2026-02-29", "2026-13-01", "2026-1", "2026-11-21-", "0000-01-01", "x-1-1", "2026-00-10"] {
            assert_eq!(read_date(text.as_bytes()), Err(NOT_A_DATE), "{text}");
        }
    }

    #[test]
    fn leap_days_before_christ_are_those_of_their_own_year() {
        assert!(read_timestamp(b"0001-02-29 00:00:00 BC").is_ok());
        assert!(read_timestamp(b"0004-02-29 00:00:00 BC").is_err());
    }
}
