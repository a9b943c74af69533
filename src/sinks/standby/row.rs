//! Rows as bytes: cells one after the other, key columns first, values as the exact text that was sent.
//!
//! ```text
//! row  := cell*                 trailing NULLs outside the key are left out, so that equal rows have equal bytes
//! cell := varint(0)             NULL
//!       | varint(length + 1) text
//! varint: seven bits a byte, low bits first, the high bit says that more follow
//! ```
//!
//! Knows nothing of tables; which cell is which column is the layout's business.

use super::layout::Layout;

/// Appends `n` as a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7F) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads a varint off the front.
///
/// # Panics
/// On bytes that this module did not write: rows in memory are ours, files are checked by CRC before.
pub(super) fn take_varint(bytes: &[u8]) -> (u64, &[u8]) {
    let (mut n, mut shift) = (0, 0);
    for (i, &byte) in bytes.iter().enumerate() {
        n |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return (n, &bytes[i + 1..]);
        }
        shift += 7;
    }
    panic!("a row's bytes end within a length");
}

/// Appends a cell.
pub(super) fn put_cell(out: &mut Vec<u8>, cell: Option<&[u8]>) {
    match cell {
        None => out.push(0),
        Some(text) => {
            put_varint(out, text.len() as u64 + 1);
            out.extend_from_slice(text);
        }
    }
}

/// Reads a cell off the front; past the end there are NULLs.
pub(super) fn take_cell(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if bytes.is_empty() {
        return (None, bytes);
    }
    let (length, rest) = take_varint(bytes);
    let Some(length) = length.checked_sub(1) else { return (None, rest) };
    let length = usize::try_from(length).expect("a length this module wrote");
    (Some(&rest[..length]), &rest[length..])
}

/// A row of a table, as it stood when the view was published. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub(super) layout: &'a Layout,
    pub(super) bytes: &'a [u8],
    pub(super) copies: u64,
}

impl<'a> Row<'a> {
    /// The value of the column with this index in the relation, exactly as Postgres printed it; `None` is NULL. UTF-8
    /// unless the database is SQL_ASCII.
    #[must_use]
    pub fn cell(&self, column: usize) -> Option<&'a [u8]> {
        self.slot(self.layout.slot_of(column))
    }

    /// All values, in the relation's order.
    #[must_use]
    pub fn cells(&self) -> Vec<Option<&'a [u8]>> {
        let (mut rest, mut slots) = (self.bytes, Vec::with_capacity(self.layout.slots()));
        for _ in 0..self.layout.slots() {
            let (cell, after) = take_cell(rest);
            slots.push(cell);
            rest = after;
        }
        self.layout.columns().map(|slot| slots[slot]).collect()
    }

    /// How often the row is there: more than once only in tables without a key.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// The cells, as kept.
    pub(in crate::sinks) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The cells of the key, as kept; all of them in a table without a key.
    pub(in crate::sinks) fn key_bytes(&self) -> &'a [u8] {
        self.layout.key_of(self.bytes)
    }

    pub(super) fn slot(&self, slot: usize) -> Option<&'a [u8]> {
        let mut rest = self.bytes;
        for _ in 0..slot {
            rest = take_cell(rest).1;
        }
        take_cell(rest).0
    }
}

impl std::fmt::Debug for Row<'_> {
    /// Never shows values: rows do not belong into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a row of {} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_go_there_and_back() {
        let long = vec![b'x'; 70_000];
        let cells: [Option<&[u8]>; 5] = [Some(b"a"), None, Some(b""), Some(&long), Some("Ü".as_bytes())];
        let mut bytes = Vec::new();
        cells.iter().for_each(|cell| put_cell(&mut bytes, *cell));
        let mut rest = bytes.as_slice();
        for want in cells {
            let (got, after) = take_cell(rest);
            assert_eq!(got, want);
            rest = after;
        }
        assert_eq!(take_cell(rest), (None, &[][..]));
    }
}
