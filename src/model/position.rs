//! Positions: the only coordinate of tape, sinks, HTTP, Kafka and the command line.

use std::fmt;
use std::str::FromStr;

use super::Lsn;

/// The `op` of "all of this commit". Ten hex digits.
pub const OP_ALL: u64 = 0xFF_FFFF_FFFF;

/// Bytes of the text form.
pub const TEXT_BYTES: usize = 27;

/// `(lsn, op)`: `lsn` is the *end* LSN of the commit record, `op` numbers the changes of the transaction from 0
/// (I, U, D, in-transaction M, and each relation of a T; R, Y and O are not counted).
///
/// The text form is fixed-width hex, 16 and 10 digits, so that it sorts as text: `00000000016B3748.0000000003`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// End LSN of the commit record.
    pub lsn: Lsn,
    /// Number of the change within its transaction; [`OP_ALL`] is the whole commit.
    pub op: u64,
}

impl Position {
    /// Before everything.
    pub const ZERO: Position = Position { lsn: Lsn::ZERO, op: 0 };

    /// All of the commit that ends at `lsn`: what sinks, checkpoints and the `Pgtape-Position` header carry.
    #[must_use]
    pub const fn whole(lsn: Lsn) -> Self {
        Self { lsn, op: OP_ALL }
    }

    /// Change `op` of the commit that ends at `lsn`.
    #[must_use]
    pub fn at(lsn: Lsn, op: u64) -> Self {
        assert!(op <= OP_ALL, "a transaction has at most {OP_ALL} changes");
        Self { lsn, op }
    }
}

impl Position {
    /// The text form, without allocation.
    #[must_use]
    pub fn to_text(&self) -> [u8; TEXT_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut out = [b'.'; TEXT_BYTES];
        let (lsn, op) = out.split_at_mut(16);
        for (at, byte) in lsn.iter_mut().enumerate() {
            *byte = DIGITS[usize::from((self.lsn.0 >> (4 * (15 - at))).to_le_bytes()[0] & 0xF)];
        }
        for (at, byte) in op[1..].iter_mut().enumerate() {
            *byte = DIGITS[usize::from((self.op >> (4 * (9 - at))).to_le_bytes()[0] & 0xF)];
        }
        out
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}.{:010X}", self.lsn.0, self.op)
    }
}

/// The text is neither a position nor an LSN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a position; write 00000000016B3748.0000000003 or 0/16B3748")]
pub struct ParsePositionError(pub String);

impl FromStr for Position {
    type Err = ParsePositionError;

    /// Takes the fixed-width form, and an LSN (`0/16B3748`), which means all of that commit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(lsn) = text.parse::<Lsn>() {
            return Ok(Position::whole(lsn));
        }
        let parse = || {
            let (lsn, op) = text.split_once('.')?;
            let hex = |s: &str, digits: usize| {
                let fits = s.len() == digits && s.bytes().all(|b| b.is_ascii_hexdigit());
                if fits { u64::from_str_radix(s, 16).ok() } else { None }
            };
            Some(Position { lsn: Lsn(hex(lsn, 16)?), op: hex(op, 10)? })
        };
        parse().ok_or_else(|| ParsePositionError(text.to_owned()))
    }
}

impl serde::Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_sorts_as_positions_do() {
        let mut positions = vec![
            Position::whole(Lsn(0x16B_3748)),
            Position::at(Lsn(0x16B_3748), 3),
            Position::at(Lsn(0x16B_3748), 16),
            Position::at(Lsn(1 << 40), 0),
            Position::ZERO,
        ];
        let mut texts: Vec<String> = positions.iter().map(ToString::to_string).collect();
        positions.sort();
        texts.sort();
        assert_eq!(texts, positions.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(texts[1], "00000000016B3748.0000000003");
        for (text, position) in texts.iter().zip(&positions) {
            assert_eq!(text.parse::<Position>().as_ref(), Ok(position));
            assert_eq!(position.to_text(), text.as_bytes());
        }
    }

    #[test]
    fn an_lsn_is_all_of_its_commit() {
        assert_eq!("0/16B3748".parse(), Ok(Position::whole(Lsn(0x16B_3748))));
        assert!("16B3748.3".parse::<Position>().is_err());
    }
}
