//! Postgres log sequence numbers.

use std::fmt;
use std::str::FromStr;

/// A byte position in the server's write-ahead log. Printed as Postgres does: `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No position; Postgres calls it invalid.
    pub const ZERO: Lsn = Lsn(0);

    /// Bytes from `earlier` to `self`; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not an LSN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an LSN; write it as Postgres does, like 0/16B3748")]
pub struct ParseLsnError(pub String);

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (high, low) = text.split_once('/')?;
            let part = |s: &str| {
                let hex = !s.is_empty() && s.len() <= 8 && s.bytes().all(|b| b.is_ascii_hexdigit());
                if hex { u64::from_str_radix(s, 16).ok() } else { None }
            };
            Some(Lsn(part(high)? << 32 | part(low)?))
        };
        parse().ok_or_else(|| ParseLsnError(text.to_owned()))
    }
}

impl serde::Serialize for Lsn {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back() {
        for text in ["0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for text in ["", "/", "0/", "1", "0/123456789", "0/+1", "x/1", "0/1 "] {
            assert!(text.parse::<Lsn>().is_err(), "{text} was taken");
        }
    }
}
