//! Sizes and durations as people write them: `64 MiB`, `10 ms`. No float: `1.5 GiB` is written `1536 MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units of sizes, largest first, so that printing takes the first that divides.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of durations in microseconds, largest first.
const SPANS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time, exact to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &SIZES).map(Bytes).ok_or_else(|| format!("'{text}' is not a size; write it like \"64 MiB\""))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &SPANS)
            .map(|us| Span(Duration::from_micros(us)))
            .ok_or_else(|| format!("'{text}' is not a duration; write it like \"10 ms\", \"5 s\", \"2 h\" or \"7 d\""))
    }
}

/// A whole number and one of `units`, with or without a space between; zero needs no unit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() && number == 0 {
        return Some(0);
    }
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// The largest unit that divides `value`, so that the text means exactly `value`.
fn print(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let (unit, factor) =
        units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)).unwrap_or(&("", 1));
    write!(f, "{}{}{unit}", value / factor, if unit.is_empty() { "" } else { " " })
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &SIZES)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX), &SPANS)
    }
}

/// Both are text in the file, so that the unit is always said.
macro_rules! as_text {
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    };
}
as_text!(Bytes);
as_text!(Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_say_their_unit() {
        for (text, want) in
            [("64 MiB", 64 << 20), ("64MiB", 64 << 20), ("1 gib", 1 << 30), ("10 MB", 10_000_000), ("0", 0), ("7 B", 7)]
        {
            assert_eq!(text.parse(), Ok(Bytes(want)), "{text}");
        }
        for text in ["", "64", "MiB", "-1 B", "1.5 GiB", "1 parsec", "99999999999 GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text} was taken");
        }
    }

    #[test]
    fn durations_say_their_unit() {
        for (text, want_us) in
            [("10 ms", 10_000), ("500us", 500), ("5 s", 5_000_000), ("1 min", 60_000_000), ("7 d", 604_800_000_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_micros(want_us))), "{text}");
        }
        assert!("10".parse::<Span>().is_err());
    }

    #[test]
    fn what_is_printed_means_the_same() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, 10_000_000, u64::MAX] {
            let text = Bytes(bytes).to_string();
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!(Span(Duration::from_millis(1500)).to_string(), "1500 ms");
    }
}
