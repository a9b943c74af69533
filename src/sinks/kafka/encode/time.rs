//! Dates, times and intervals in each mode.
//!
//! Decided here, and not as Debezium does: infinity is refused where a number is wanted (Debezium writes a number, or for
//! `isostring` a day, that stands for it), and written as Postgres prints it where text is; `24:00:00` stays what it is where
//! text is (Debezium 3.6.3 makes it midnight); intervals are computed exactly (Debezium goes through a double, which can be
//! one microsecond off).

use super::atoms::Atoms;
use super::calendar::{
    DAY_US, Date, Moment, is_infinite, number, put_clock, read_clock, read_date, read_time, read_timestamp,
    split_offset,
};
use super::modes::{Intervals, Times};
use super::number::print;

/// A month of 365.25 / 12 days.
const MONTH_US: i128 = 2_629_800_000_000;

/// Fractional digits of a column without a precision.
const DIGITS_MAX: usize = 6;

/// How a number of microseconds is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// ISO 8601.
    IsoString,
}

impl Unit {
    /// The unit of a `time` or `timestamp` column with this type modifier.
    pub(super) fn of(type_modifier: i32, mode: Times) -> Self {
        match (mode, type_modifier) {
            (Times::IsoString, _) => Unit::IsoString,
            (Times::Adaptive, 0..=3) => Unit::Milliseconds,
            (Times::Adaptive | Times::Microseconds, _) => Unit::Microseconds,
        }
    }
}

/// Fractional digits that a `timestamptz` column of this type modifier is written with.
pub(super) fn digits_of(type_modifier: i32) -> usize {
    usize::try_from(type_modifier).map_or(DIGITS_MAX, |digits| digits.min(DIGITS_MAX))
}

/// Appends a `date`.
pub(super) fn put_date<A: Atoms>(mode: Times, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    match mode {
        Times::IsoString if is_infinite(text) => put_as_sent::<A>(text, out),
        Times::IsoString => {
            let date = read_date(text)?;
            let write = |out: &mut Vec<u8>| {
                date.put(out);
                out.push(b'Z');
            };
            A::plain(write, out);
        }
        Times::Adaptive | Times::Microseconds => A::integer(read_date(text)?.since_epoch_days(), out),
    }
    Ok(())
}

/// Appends a `time`.
pub(super) fn put_time<A: Atoms>(unit: Unit, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let time_us = read_time(text)?;
    match unit {
        Unit::Milliseconds => A::integer(in_milliseconds(time_us)?, out),
        Unit::Microseconds => A::integer(time_us, out),
        Unit::IsoString => put_clock_utc::<A>(time_us, out),
    }
    Ok(())
}

/// Appends a `timestamp`, taken for UTC.
pub(super) fn put_timestamp<A: Atoms>(unit: Unit, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if unit == Unit::IsoString {
        return put_iso_timestamp::<A>(None, text, out);
    }
    let moment = read_timestamp(text)?;
    let since_epoch_us = moment.since_epoch_us();
    match unit {
        Unit::Milliseconds => {
            let millisecond = in_milliseconds(moment.day_us)?;
            A::integer(moment.days * (DAY_US / 1_000) + millisecond, out);
        }
        Unit::Microseconds | Unit::IsoString => A::integer(since_epoch_us.ok_or("is too late for microseconds")?, out),
    }
    Ok(())
}

/// Appends a `timestamptz`: ISO 8601 in UTC, with as many fractional digits as its column has.
pub(super) fn put_timestamptz<A: Atoms>(digits: usize, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    put_iso_timestamp::<A>(Some(digits), text, out)
}

/// Appends a `timetz`, shifted to UTC. `24:00:00+00` stays what it is.
pub(super) fn put_timetz<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let (time, offset_us) = split_offset(text)?;
    let utc_us = read_time(time)? - offset_us;
    put_clock_utc::<A>(if utc_us == DAY_US && offset_us == 0 { DAY_US } else { utc_us.rem_euclid(DAY_US) }, out);
    Ok(())
}

/// Appends an `interval` (`intervalstyle=postgres`).
pub(super) fn put_interval<A: Atoms>(mode: Intervals, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let interval = Interval::read(text)?;
    match mode {
        Intervals::Microseconds => {
            let days = i128::from(interval.days) * i128::from(DAY_US);
            let sum = i128::from(interval.months) * MONTH_US + days + i128::from(interval.clock_us);
            A::integer(i64::try_from(sum).map_err(|_| "is too long for microseconds")?, out);
        }
        Intervals::IsoString => A::plain(|out| interval.put_iso(out), out),
    }
    Ok(())
}

/// The three parts that Postgres keeps apart.
#[derive(Default)]
struct Interval {
    months: i64,
    days: i64,
    clock_us: i64,
}

impl Interval {
    /// Reads `[n year[s]] [n mon[s]] [n day[s]] [[-]HH:MM:SS[.ffffff]]`.
    fn read(text: &[u8]) -> Result<Self, &'static str> {
        const NOT_AN_INTERVAL: &str = "is not an interval";
        if is_infinite(text) {
            return Err("is infinite");
        }
        let mut interval = Self::default();
        let mut words = text.split(|byte| *byte == b' ');
        while let Some(word) = words.next() {
            let (negative, digits) = match word {
                [b'-', digits @ ..] => (true, digits),
                [b'+', digits @ ..] => (false, digits),
                digits => (false, digits),
            };
            let signed = |amount: i64| if negative { -amount } else { amount };
            if digits.contains(&b':') {
                interval.clock_us = signed(read_clock(digits).map_err(|_| NOT_AN_INTERVAL)?);
                continue;
            }
            let amount = signed(number_of_any_length(digits).ok_or(NOT_AN_INTERVAL)?);
            match words.next() {
                Some(b"year" | b"years") => interval.months += amount * 12,
                Some(b"mon" | b"mons") => interval.months += amount,
                Some(b"day" | b"days") => interval.days += amount,
                Some(_) | None => return Err(NOT_AN_INTERVAL),
            }
        }
        Ok(interval)
    }

    /// Appends `P1Y2M3DT4H5M6.7S`: every part, each with its sign.
    fn put_iso(&self, out: &mut Vec<u8>) {
        let (years, months, days) = (self.months / 12, self.months % 12, self.days);
        let (minutes, second_us) = (self.clock_us / 60_000_000, self.clock_us % 60_000_000);
        let sign = if second_us < 0 { "-" } else { "" };
        let (seconds, fraction) = (second_us.abs() / 1_000_000, second_us.abs() % 1_000_000);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        print(format_args!("P{years}Y{months}M{days}DT{hours}H{minutes}M{sign}{seconds}"), out);
        if fraction != 0 {
            print(format_args!(".{fraction:06}"), out);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
        out.push(b'S');
    }
}

/// Postgres's intervals have up to ten digits a part.
fn number_of_any_length(digits: &[u8]) -> Option<i64> {
    match digits.len() {
        10 => Some(number(&digits[..1])? * 1_000_000_000 + number(&digits[1..])?),
        _ => number(digits),
    }
}

fn put_iso_timestamp<A: Atoms>(digits: Option<usize>, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if is_infinite(text) {
        put_as_sent::<A>(text, out);
        return Ok(());
    }
    let Moment { days, day_us } = read_timestamp(text)?;
    if digits.is_some_and(|digits| day_us % 10_i64.pow(6 - u32::try_from(digits).unwrap_or(6)) != 0) {
        return Err("has more fractional digits than its column");
    }
    let write = |out: &mut Vec<u8>| {
        Date::of_days(days).put(out);
        out.push(b'T');
        put_clock(day_us, digits, out);
        out.push(b'Z');
    };
    A::plain(write, out);
    Ok(())
}

fn put_clock_utc<A: Atoms>(day_us: i64, out: &mut Vec<u8>) {
    let write = |out: &mut Vec<u8>| {
        put_clock(day_us, None, out);
        out.push(b'Z');
    };
    A::plain(write, out);
}

/// Text that was found to be one of a few words.
fn put_as_sent<A: Atoms>(text: &[u8], out: &mut Vec<u8>) {
    A::plain(|out| out.extend_from_slice(text), out);
}

fn in_milliseconds(time_us: i64) -> Result<i64, &'static str> {
    if time_us % 1_000 == 0 { Ok(time_us / 1_000) } else { Err("has more fractional digits than its column") }
}
