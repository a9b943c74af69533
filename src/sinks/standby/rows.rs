//! The rows of a table: a persistent map from the hash of the key to pages. A clone is a snapshot and costs nothing.
//!
//! Invariants: each page holds the rows whose hash lies between its own bound and the next page's; rows of equal hash are
//! in one page, told apart by their key's bytes. Rows of a table without a key carry a count before their cells.

use std::borrow::Cow;

use imbl::OrdMap;
use imbl::shared_ptr::DefaultSharedPtr;
use xxhash_rust::xxh3::xxh3_64;

use super::page::Page;
use super::row::{put_varint, take_varint};

/// The rows of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pages: OrdMap<u64, Page>,
    rows: u64,
    bytes: u64,
    bag: bool,
}

/// A row that has been replaced or removed, still readable.
#[derive(Debug, Clone)]
pub(super) struct Held {
    page: Page,
    index: usize,
    bag: bool,
}

impl Held {
    /// The cells.
    pub(super) fn cells(&self) -> &[u8] {
        let record = self.page.record(self.index);
        if self.bag { take_varint(record).1 } else { record }
    }

    /// How often it was there.
    pub(super) fn copies(&self) -> u64 {
        if self.bag { take_varint(self.page.record(self.index)).0 } else { 1 }
    }
}

impl Rows {
    /// No rows yet; `bag`: the table has no key.
    pub(super) fn new(bag: bool) -> Self {
        Self { bag, ..Self::default() }
    }

    /// The hash that orders rows. Part of the checkpoint format and of page tokens.
    pub(super) fn hash(key: &[u8]) -> u64 {
        xxh3_64(key)
    }

    /// Number of rows, copies included.
    pub(super) fn len(&self) -> u64 {
        self.rows
    }

    /// Bytes of the pages.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The row with this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Held> {
        let hash = Self::hash(key);
        let (_, page) = self.pages.get_prev(&hash)?;
        let index = find(page, self.bag, hash, key).ok()?;
        Some(Held { page: page.clone(), index, bag: self.bag })
    }

    /// Puts a row whose first `key_bytes` are its key; returns the row it replaces. In a bag it is one copy more, and
    /// replaces nothing.
    pub(super) fn put(&mut self, row: &[u8], key_bytes: usize) -> Option<Held> {
        let key = &row[..key_bytes];
        let hash = Self::hash(key);
        let Some((_, page)) = self.pages.get_prev_mut(&hash) else {
            let page = Page::of(&[(hash, &record(self.bag, 1, row))]);
            self.bytes += page.bytes().len() as u64;
            self.rows += 1;
            self.pages.insert(0, page);
            return None;
        };
        let found = find(page, self.bag, hash, key);
        let held = found.ok().map(|index| Held { page: page.clone(), index, bag: self.bag });
        let (index, replace) = found.map_or_else(|at| (at, false), |at| (at, true));
        let copies = 1 + held.as_ref().filter(|_| self.bag).map_or(0, Held::copies);
        let (left, right) = page.with(index, replace, hash, &record(self.bag, copies, row));
        self.bytes = self.bytes + left.bytes().len() as u64 - page.bytes().len() as u64;
        *page = left;
        self.add_page(right);
        self.rows += u64::from(self.bag || held.is_none());
        held.filter(|_| !self.bag)
    }

    /// Takes out the row with this key (one copy of it, in a bag).
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Held> {
        let hash = Self::hash(key);
        let (bound, page) = self.pages.get_prev_mut(&hash)?;
        let index = find(page, self.bag, hash, key).ok()?;
        let (bound, held) = (*bound, Held { page: page.clone(), index, bag: self.bag });
        let (left, right) = match held.copies() {
            0 | 1 => (page.without(index), None),
            copies => {
                let (left, right) = page.with(index, true, hash, &record(self.bag, copies - 1, key));
                (Some(left), right)
            }
        };
        self.bytes = self.bytes + left.as_ref().map_or(0, |p| p.bytes().len()) as u64 - page.bytes().len() as u64;
        match left {
            Some(left) => *page = left,
            None => drop(self.pages.remove(&bound)),
        }
        self.add_page(right);
        self.rows -= 1;
        Some(held)
    }

    /// Adds the second half of a page that has grown too large.
    fn add_page(&mut self, page: Option<Page>) {
        if let Some(page) = page {
            self.bytes += page.bytes().len() as u64;
            self.pages.insert(page.hash(0), page);
        }
    }

    /// Adds a page of a checkpoint; pages come in order.
    pub(super) fn push_page(&mut self, page: Page) -> Option<()> {
        let after_last = self.pages.get_max().is_none_or(|(_, last)| last.hash(last.len() - 1) < page.hash(0));
        if !after_last {
            return None;
        }
        let copies = |record| if self.bag { take_varint(record).0 } else { 1 };
        self.rows += page.records().map(|(_, record)| copies(record)).sum::<u64>();
        self.bytes += page.bytes().len() as u64;
        let bound = if self.pages.is_empty() { 0 } else { page.hash(0) };
        self.pages.insert(bound, page);
        Some(())
    }

    /// The pages, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.values()
    }

    /// Rows with a hash of at least `hash`, in order: hash, cells, copies.
    pub(super) fn from(&self, hash: u64) -> Scan<'_> {
        let bound = self.pages.get_prev(&hash).map_or(0, |(bound, _)| *bound);
        let mut pages = self.pages.range(bound..);
        let page = pages.next().map(|(_, page)| page);
        let index = page.map_or(0, |page| page.lower_bound(hash));
        Scan { pages, page, index, bag: self.bag }
    }

    /// Rows whose key has this hash: one, but for collisions.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (&[u8], u64)> {
        self.from(hash).take_while(move |(h, ..)| *h == hash).map(|(_, cells, copies)| (cells, copies))
    }
}

/// `Ok`: where the row is in its page; `Err`: where it would go.
fn find(page: &Page, bag: bool, hash: u64, key: &[u8]) -> Result<usize, usize> {
    let mut i = page.lower_bound(hash);
    while i < page.len() && page.hash(i) == hash {
        let record = page.record(i);
        let same = if bag { take_varint(record).1 == key } else { record.starts_with(key) };
        if same {
            return Ok(i);
        }
        i += 1;
    }
    Err(i)
}

/// A row as it stands in a page: in a bag the number of copies comes before it.
fn record(bag: bool, copies: u64, row: &[u8]) -> Cow<'_, [u8]> {
    if !bag {
        return Cow::Borrowed(row);
    }
    let mut record = Vec::with_capacity(row.len() + 2);
    put_varint(&mut record, copies);
    record.extend_from_slice(row);
    Cow::Owned(record)
}

/// See [`Rows::from`].
pub(super) struct Scan<'a> {
    pages: imbl::ordmap::RangedIter<'a, u64, Page, DefaultSharedPtr>,
    page: Option<&'a Page>,
    index: usize,
    bag: bool,
}

impl<'a> Iterator for Scan<'a> {
    type Item = (u64, &'a [u8], u64);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let page = self.page?;
            if self.index < page.len() {
                let (hash, record) = (page.hash(self.index), page.record(self.index));
                self.index += 1;
                let (copies, cells) = if self.bag { take_varint(record) } else { (1, record) };
                return Some((hash, cells, copies));
            }
            self.page = self.pages.next().map(|(_, page)| page);
            self.index = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn rows_behave_like_a_map(steps in prop::collection::vec((0u16..400, prop::option::of("[a-z]{0,60}")), 0..1500)) {
            let mut rows = Rows::new(false);
            let mut model: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
            for (key, value) in steps {
                let key_bytes = key.to_be_bytes();
                match value {
                    Some(value) => {
                        let row = [&key_bytes[..], value.as_bytes()].concat();
                        let old = rows.put(&row, 2);
                        prop_assert_eq!(old.map(|h| h.cells().to_vec()), model.insert(key, row));
                    }
                    None => {
                        let old = rows.remove(&key_bytes);
                        prop_assert_eq!(old.map(|h| h.cells().to_vec()), model.remove(&key));
                    }
                }
                prop_assert_eq!(rows.len(), model.len() as u64);
            }
            let mut all: Vec<Vec<u8>> = rows.from(0).map(|(_, cells, _)| cells.to_vec()).collect();
            all.sort();
            prop_assert_eq!(all, model.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(rows.bytes(), rows.pages().map(|p| p.bytes().len() as u64).sum::<u64>());
        }

        #[test]
        // Rows so long that taking a copy away meets pages that are about to be split.
        fn a_bag_counts(steps in prop::collection::vec((0u8..20, any::<bool>()), 0..300)) {
            let mut bag = Rows::new(true);
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            for (row, add) in steps {
                let copies = model.entry(row).or_default();
                let cells = [row; 300];
                if add {
                    prop_assert!(bag.put(&cells, cells.len()).is_none());
                    *copies += 1;
                } else {
                    prop_assert_eq!(bag.remove(&cells).is_some(), *copies > 0);
                    *copies = copies.saturating_sub(1);
                }
                prop_assert_eq!(bag.len(), model.values().sum::<u64>());
            }
            model.retain(|_, copies| *copies > 0);
            let all: BTreeMap<u8, u64> = bag.from(0).map(|(_, cells, copies)| (cells[0], copies)).collect();
            prop_assert_eq!(all, model);
        }
    }

    #[test]
    fn a_clone_is_a_snapshot() {
        let mut rows = Rows::new(false);
        rows.put(b"k1", 1);
        let snapshot = rows.clone();
        rows.put(b"k2", 1);
        rows.remove(b"k");
        assert_eq!(snapshot.get(b"k").unwrap().cells(), b"k1");
        assert!(rows.get(b"k").is_none() && snapshot.len() == 1);
    }
}
