//! When a row is available: the text of a time as microseconds.

/// Before every row.
pub const ALWAYS: i64 = i64::MIN;
/// After every row.
pub const NEVER: i64 = i64::MAX;

/// Microseconds since the Unix epoch of a `timestamptz` as our sessions print it, or of a `timestamp`, taken as UTC. `None`
/// when it is no time. What lies before the years that can be counted is always, what lies after them is never.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(NEVER),
        "-infinity" => return Some(ALWAYS),
        _ if text.ends_with(" BC") => return Some(ALWAYS),
        _ => {}
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_microsecond());
    }
    if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
        return civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_microsecond());
    }
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    (year > 4 && text.as_bytes().get(year) == Some(&b'-')).then_some(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_postgres_prints_them() {
        let check = |text: &str, want: Option<i64>| assert_eq!(micros(text), want, "{text}");
        check("1970-01-01 00:00:01+00", Some(1_000_000));
        check("1970-01-01 00:00:00.000001+00", Some(1));
        check("1970-01-01 05:30:00+05:30", Some(0));
        check("1970-01-01 00:00:01.5", Some(1_500_000));
        check("infinity", Some(NEVER));
        check("-infinity", Some(ALWAYS));
        check("0044-03-15 00:00:00+00 BC", Some(ALWAYS));
        check("12000-01-01 00:00:00+00", Some(NEVER));
        check("soon", None);
        check("", None);
    }
}
