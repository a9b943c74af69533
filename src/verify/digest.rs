//! An order-independent digest of a table: the sum of its rows' hashes.
//!
//! Invariant: two tables with the same rows, in any order, have the same digest. The hashes are *added*: with XOR a row
//! that stands there twice would vanish.

use xxhash_rust::xxh3::Xxh3;

/// Row count and sum of row hashes, modulo 2^128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    sum: u128,
}

impl Digest {
    /// Adds one row by its [`row_hash`].
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// The sum as 32 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// The hash of a row: of the texts of its columns, in order. `None` is NULL and differs from the empty text.
#[must_use]
pub fn row_hash(cells: &[Option<&[u8]>]) -> u128 {
    let mut hash = Xxh3::new();
    for cell in cells {
        match cell {
            None => hash.update(&u64::MAX.to_le_bytes()),
            Some(text) => {
                hash.update(&(text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Option<&str>]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(row_hash(&row.iter().map(|c| c.map(str::as_bytes)).collect::<Vec<_>>()));
        }
        digest
    }

    #[test]
    fn order_does_not_count_but_rows_columns_and_nulls_do() {
        let a: &[Option<&str>] = &[Some("1"), Some("x")];
        let b: &[Option<&str>] = &[Some("2"), None];
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        assert_ne!(digest(&[a, b]), digest(&[a, a]));
        assert_ne!(digest(&[a, a]), digest(&[]), "a row that stands there twice is seen");
        assert_ne!(digest(&[&[Some("1x"), Some("")]]), digest(&[a]));
        assert_ne!(digest(&[&[Some("2"), Some("")]]), digest(&[b]));
    }
}
