//! Secondary indexes: from the hash of some columns to the hashes of the keys of rows that have them.
//!
//! Two numbers an entry, nothing of the row itself: an update that leaves the columns alone does not touch the index.
//! Invariant: an index may say too much (hashes collide), never too little; who asks compares the values.

use imbl::OrdSet;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::Layout;
use super::row::{Row, put_cell};
use super::rows::Rows;

/// Columns to find rows by.
#[derive(Debug, Clone)]
pub(super) struct Index {
    names: Vec<String>,
    slots: Vec<usize>,
    entries: OrdSet<(u64, u64)>,
}

impl Index {
    /// An empty index on these columns; `None` when the table lacks one of them.
    pub(super) fn new(names: &[String], slot: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let slots: Option<Vec<usize>> = names.iter().map(|name| slot(name)).collect();
        Some(Self { names: names.to_vec(), slots: slots?, entries: OrdSet::new() })
    }

    /// The columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The hash under which values are found.
    pub(super) fn hash<'a>(values: impl IntoIterator<Item = Option<&'a [u8]>>) -> u64 {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|value| put_cell(&mut bytes, value));
        xxh3_64(&bytes)
    }

    fn hash_of(&self, layout: &Layout, cells: &[u8]) -> u64 {
        let row = Row { layout, bytes: cells, copies: 1 };
        Self::hash(self.slots.iter().map(|slot| row.slot(*slot)))
    }

    /// Follows a change of the rows, which has been made already.
    pub(super) fn change(&mut self, layout: &Layout, rows: &Rows, old: Option<&[u8]>, new: Option<&[u8]>) {
        let entry = |cells| (self.hash_of(layout, cells), Rows::hash(layout.key_of(cells)));
        let (old, new) = (old.map(entry), new.map(entry));
        if old == new {
            return;
        }
        if let Some(entry) = new {
            self.entries.insert(entry);
        }
        if let Some((value, key)) = old {
            // Another row, or another copy of this one, may stand behind the same two hashes.
            if !rows.with_hash(key).any(|(cells, _)| self.hash_of(layout, cells) == value) {
                self.entries.remove(&(value, key));
            }
        }
    }

    /// Fills an empty index.
    pub(super) fn fill(&mut self, layout: &Layout, rows: &Rows) {
        for (key, cells, _) in rows.from(0) {
            let value = self.hash_of(layout, cells);
            self.entries.insert((value, key));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.entries = OrdSet::new();
    }

    /// Hashes, from `start` on, of the keys of rows that may have these values.
    pub(super) fn find(&self, value: u64, start: u64) -> impl Iterator<Item = u64> {
        self.entries.range((value, start)..=(value, u64::MAX)).map(|(_, key)| *key)
    }
}
