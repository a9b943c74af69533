//! Finding a row of a table without a key by the whole old row that was sent.
//!
//! Usually its bytes are those held. Since PG 15 they may not be: for a row that was never rewritten after
//! `ADD COLUMN ... DEFAULT`, the old row carries NULL where reading the table gives the default. Such a row is looked for
//! by its other columns, and the default it shows is remembered, so that the next one is found at once.

use super::rows::Held;
use super::table::Table;

/// After so many searches through the whole table without success no more are made: each reads every row.
pub const SEARCHES_MAX: u32 = 64;

/// What was learned about columns that were added with a default.
#[derive(Debug, Clone, Default)]
pub(super) struct Learned {
    /// Column and default.
    defaults: Vec<(usize, Vec<u8>)>,
    failed: u32,
}

/// The row held for these cells of an old row.
pub(super) fn find(table: &mut Table, cells: &[Option<&[u8]>]) -> Option<Held> {
    if let Some(held) = exact(table, cells) {
        return Some(held);
    }
    if cells.iter().all(Option::is_some) {
        return None;
    }
    let with_defaults: Vec<Option<&[u8]>> =
        cells.iter().enumerate().map(|(column, cell)| cell.or_else(|| table.learned.default_of(column))).collect();
    exact(table, &with_defaults).or_else(|| search(table, cells))
}

fn exact(table: &Table, cells: &[Option<&[u8]>]) -> Option<Held> {
    let mut bytes = Vec::new();
    table.layout.encode(cells, &mut bytes);
    table.rows.get(&bytes)
}

/// Reads the whole table for a row that agrees in every column that was sent.
fn search(table: &mut Table, cells: &[Option<&[u8]>]) -> Option<Held> {
    if table.learned.failed >= SEARCHES_MAX {
        return None;
    }
    let agrees = |row: &super::row::Row<'_>| {
        cells.iter().enumerate().all(|(column, cell)| cell.is_none() || row.cell(column) == *cell)
    };
    let Some(row) = table.rows().find(agrees) else {
        table.learned.failed += 1;
        return None;
    };
    let bytes = row.bytes.to_vec();
    let filled = |column: &usize| cells[*column].is_none();
    let default = |column: usize| row.cell(column).map(|value| (column, value.to_vec()));
    let defaults: Vec<(usize, Vec<u8>)> = (0..cells.len()).filter(filled).filter_map(default).collect();
    for (column, value) in defaults {
        table.learned.defaults.retain(|(c, _)| *c != column);
        table.learned.defaults.push((column, value));
    }
    table.rows.get(&bytes)
}

impl Learned {
    fn default_of(&self, column: usize) -> Option<&[u8]> {
        self.defaults.iter().find(|(c, _)| *c == column).map(|(_, value)| value.as_slice())
    }
}
