//! A row as sent: its cells, in the order of the Relation's columns.

use std::fmt;

/// A value as sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// An out-of-line value that the update did not touch: not sent, still what it was.
    Unchanged,
    /// The value's text, exactly as its type's output function wrote it. UTF-8 unless the database is SQL_ASCII.
    Text(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The text, if there is one.
    #[must_use]
    pub const fn text(self) -> Option<&'a [u8]> {
        match self {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Unchanged => None,
        }
    }
}

impl fmt::Debug for Cell<'_> {
    /// Never shows the value: rows do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => f.write_str("null"),
            Cell::Unchanged => f.write_str("unchanged"),
            Cell::Text(text) => write!(f, "{} bytes", text.len()),
        }
    }
}

/// A row as sent. Walked once by `decode`, so that reading its cells cannot fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    columns: u16,
    bytes: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// `bytes` must hold exactly `columns` well-formed cells.
    pub(super) const fn walked(columns: u16, bytes: &'a [u8]) -> Self {
        Self { columns, bytes }
    }

    /// Number of columns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.columns as usize
    }

    /// Whether the row has no columns (Postgres allows such tables).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The cells, first column first.
    #[must_use]
    pub const fn cells(&self) -> Cells<'a> {
        Cells { left: self.columns, bytes: self.bytes }
    }

    /// The cells as they were sent, tags and lengths included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.cells()).finish()
    }
}

impl<'a> IntoIterator for Tuple<'a> {
    type Item = Cell<'a>;
    type IntoIter = Cells<'a>;
    fn into_iter(self) -> Cells<'a> {
        self.cells()
    }
}

/// A row in the making: cells in, a [`Tuple`] out, in memory that is used again.
#[derive(Debug, Clone, Default)]
pub struct TupleBuffer {
    columns: u16,
    bytes: Vec<u8>,
}

impl TupleBuffer {
    /// Forgets the row, and keeps the memory.
    pub fn clear(&mut self) {
        self.columns = 0;
        self.bytes.clear();
    }

    /// Appends a cell.
    pub fn push(&mut self, cell: Cell<'_>) {
        self.columns = self.columns.checked_add(1).expect("Postgres allows 1600 columns");
        super::encode::cell(cell, &mut self.bytes);
    }

    /// A row whose values are all known, instead of the one that was there; `None` is NULL.
    pub fn fill<'v>(&mut self, values: impl IntoIterator<Item = Option<&'v [u8]>>) -> Tuple<'_> {
        self.clear();
        values.into_iter().for_each(|value| self.push(value.map_or(Cell::Null, Cell::Text)));
        self.tuple()
    }

    /// The row.
    #[must_use]
    pub fn tuple(&self) -> Tuple<'_> {
        Tuple { columns: self.columns, bytes: &self.bytes }
    }
}

/// The cells of a [`Tuple`].
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (cell, rest) = take_cell(self.bytes).expect("decode walked this tuple");
        self.bytes = rest;
        Some(cell)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Cells<'_> {}

/// The first cell and the bytes after it; `None` when it is cut short or of an unknown kind (binary is one).
pub(super) fn take_cell(bytes: &[u8]) -> Option<(Cell<'_>, &[u8])> {
    match bytes.split_first()? {
        (b'n', rest) => Some((Cell::Null, rest)),
        (b'u', rest) => Some((Cell::Unchanged, rest)),
        (b't', rest) => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            Some((Cell::Text(text), rest))
        }
        _ => None,
    }
}
