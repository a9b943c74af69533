//! A table of the standby: its shape, its rows, its indexes, its counters. A clone is a snapshot and costs little.

use std::sync::Arc;

use crate::model::{Relation, TableName};
use crate::pgoutput::TableFacts;

use super::bag::Learned;
use super::index::Index;
use super::layout::Layout;
use super::row::Row;
use super::rows::{Held, Rows};

/// What happened to a table since its epoch began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Rows inserted; those of copies do not count.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Times the table was emptied.
    pub truncates: u64,
    /// Changes that did not fit the rows held: an insert of a key that was there, an update or delete of one that was
    /// not. The new image wins; more than 0 means that the table changed outside the stream.
    pub misfits: u64,
}

/// A table, as it stood at a commit.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) relation: Arc<Relation>,
    pub(super) facts: Option<Arc<TableFacts>>,
    pub(super) layout: Arc<Layout>,
    pub(super) rows: Rows,
    pub(super) indexes: Vec<Index>,
    pub(super) counters: Counters,
    pub(super) stale: bool,
    /// Not shown: it has not been copied yet, or its rows were replaced by nothing, as it is not published any more.
    pub(super) absent: bool,
    pub(super) learned: Learned,
}

/// Where a listing goes on: an opaque text.
pub type Token = String;

impl Table {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.relation.table
    }

    /// Its columns, as last announced.
    #[must_use]
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// Memory of its rows, bytes, without the indexes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// What happened to it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether its shape changed and it waits to be copied again: until then added columns read as NULL.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The key's columns in its order, as indexes into the relation; empty when the table has no key.
    #[must_use]
    pub fn key(&self) -> Vec<usize> {
        self.layout.key()
    }

    /// The names of the key's columns; empty when the table has no key.
    #[must_use]
    pub fn key_names(&self) -> Vec<&str> {
        self.key().into_iter().map(|c| &*self.relation.columns[c].name).collect()
    }

    /// The row with this key: one value for each column of [`Table::key`].
    #[must_use]
    pub fn get(&self, key: &[Option<&[u8]>]) -> Option<OwnedRow> {
        if self.layout.is_bag() || key.len() != self.layout.key().len() {
            return None;
        }
        let mut bytes = Vec::new();
        Layout::encode_key(key.iter().copied(), &mut bytes);
        let held = self.rows.get(&bytes)?;
        Some(OwnedRow { layout: Arc::clone(&self.layout), held })
    }

    /// The row with the key that these bytes are (as the standby keeps keys).
    pub(in crate::sinks) fn get_by_key_bytes(&self, key: &[u8]) -> Option<OwnedRow> {
        let held = self.rows.get(key)?;
        Some(OwnedRow { layout: Arc::clone(&self.layout), held })
    }

    /// The row that has the same key as these cells.
    pub(in crate::sinks) fn get_by_key_of(&self, cells: &[u8]) -> Option<OwnedRow> {
        self.get_by_key_bytes(self.layout.key_of(cells))
    }

    /// Columns that rows are found by without reading the whole table, besides the key.
    pub fn indexes(&self) -> impl Iterator<Item = &[String]> {
        self.indexes.iter().map(Index::names)
    }

    /// The rows that have all these values (`None` is NULL), by the key or an index where there is one, else by looking
    /// at every row. Names columns by their index in the relation.
    pub fn find<'w, 'a: 'w>(
        &'a self,
        wanted: &'w [(usize, Option<&'w [u8]>)],
    ) -> Box<dyn Iterator<Item = Row<'a>> + 'w> {
        self.find_from(0, wanted)
    }

    /// As [`Table::find`], only rows whose key's hash is at least `start`; they come in the order of that hash.
    fn find_from<'w, 'a: 'w>(
        &'a self,
        start: u64,
        wanted: &'w [(usize, Option<&'w [u8]>)],
    ) -> Box<dyn Iterator<Item = Row<'a>> + 'w> {
        let matches = move |row: &Row<'a>| wanted.iter().all(|(column, value)| row.cell(*column) == *value);
        if let Some(key) = self.key_hash(wanted) {
            let rows = (key >= start).then(|| self.rows.with_hash(key)).into_iter().flatten();
            return Box::new(rows.map(|(c, n)| self.row(c, n)).filter(matches));
        }
        let value = |name: &String| {
            let column = self.relation.column(name)?;
            wanted.iter().find(|(c, _)| *c == column).map(|(_, value)| *value)
        };
        for index in &self.indexes {
            let values: Option<Vec<Option<&[u8]>>> = index.names().iter().map(value).collect();
            if let Some(values) = values {
                let keys = index.find(Index::hash(values), start);
                let rows = keys.flat_map(|key| self.rows.with_hash(key)).map(|(c, n)| self.row(c, n));
                return Box::new(rows.filter(matches));
            }
        }
        Box::new(self.rows.from(start).map(|(_, c, n)| self.row(c, n)).filter(matches))
    }

    /// The hash of the key, if all of it is among the wanted values.
    fn key_hash(&self, wanted: &[(usize, Option<&[u8]>)]) -> Option<u64> {
        if self.layout.is_bag() {
            return None;
        }
        let value = |column: usize| wanted.iter().find(|(c, _)| *c == column).map(|(_, value)| *value);
        let key: Option<Vec<Option<&[u8]>>> = self.layout.key().into_iter().map(value).collect();
        let mut bytes = Vec::new();
        Layout::encode_key(key?, &mut bytes);
        Some(Rows::hash(&bytes))
    }

    /// All rows, in no meaningful order, but always the same one.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.from(0).map(|(_, cells, copies)| self.row(cells, copies))
    }

    /// Up to `limit` rows after `token` (all of them from `None`), and the token to go on with. Rows that come or go
    /// between two pages do not disturb the others. `Err`: not a token.
    pub fn page(&self, token: Option<&str>, limit: usize) -> Result<(Vec<Row<'_>>, Option<Token>), BadToken> {
        let (start, skip) = token.map_or(Some((0, 0)), parse_token).ok_or(BadToken)?;
        let rows = self.rows.from(start).map(|(hash, cells, copies)| (hash, self.row(cells, copies)));
        Ok(take_page(rows, start, skip, limit))
    }

    /// As [`Table::page`], of the rows that [`Table::find`] finds.
    pub fn find_page<'a>(
        &'a self,
        wanted: &[(usize, Option<&[u8]>)],
        token: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Row<'a>>, Option<Token>), BadToken> {
        let (start, skip) = token.map_or(Some((0, 0)), parse_token).ok_or(BadToken)?;
        let hash = |row: &Row<'a>| Rows::hash(row.layout.key_of(row.bytes));
        Ok(take_page(self.find_from(start, wanted).map(|row| (hash(&row), row)), start, skip, limit))
    }

    pub(super) fn row<'a>(&'a self, cells: &'a [u8], copies: u64) -> Row<'a> {
        Row { layout: &self.layout, bytes: cells, copies }
    }
}

/// A row that was found by its key; keeps what it needs alive.
#[derive(Debug, Clone)]
pub struct OwnedRow {
    layout: Arc<Layout>,
    held: Held,
}

impl OwnedRow {
    /// The row.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        Row { layout: &self.layout, bytes: self.held.cells(), copies: self.held.copies() }
    }
}

/// The text is not a token of [`Table::page`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the 'next' of an earlier answer")]
pub struct BadToken;

/// The first `limit` of `rows`, which come in the order of their hash, from number `skip` of those with hash `start`; and
/// the token of the row after them.
fn take_page<'a>(
    rows: impl Iterator<Item = (u64, Row<'a>)>,
    start: u64,
    skip: u64,
    limit: usize,
) -> (Vec<Row<'a>>, Option<Token>) {
    let mut page = Vec::new();
    // Rows of equal hash are told apart by their number among them.
    let (mut last, mut nth) = (start, 0_u64);
    for (hash, row) in rows {
        nth = if hash == last { nth } else { 0 };
        last = hash;
        if hash > start || nth >= skip {
            if page.len() == limit {
                return (page, Some(format!("{hash:016x}.{nth:x}")));
            }
            page.push(row);
        }
        nth += 1;
    }
    (page, None)
}

/// `hash.skip`: hexadecimal.
fn parse_token(text: &str) -> Option<(u64, u64)> {
    let (hash, skip) = text.split_once('.')?;
    let hex = |s: &str| u64::from_str_radix(s, 16).ok().filter(|_| !s.starts_with('+'));
    Some((hex(hash)?, hex(skip)?))
}
