//! Pages: a few rows in one allocation, sorted by the hash of their key. Never changed, only replaced.
//!
//! ```text
//! page := n:u16  hash:u64 x n  end:u32 x n  record x n       little-endian; `end` counts from the first record
//! ```
//!
//! One allocation for ~2 KB of rows instead of one a row keeps memory near the rows' text, and replacing a page is one
//! short copy, whether or not a reader still holds the old one.

use std::cell::RefCell;
use std::sync::Arc;

/// A page above this size is split, bytes. A page of one row may be of any size.
pub const PAGE_BYTES_MAX: usize = 2048;

/// The rows of a page.
#[derive(Debug, Clone)]
pub(super) struct Page(Arc<[u8]>);

const HASH_BYTES: usize = 8;
const END_BYTES: usize = 4;
const COUNT_BYTES: usize = 2;

impl Page {
    /// A page of these records, which are sorted by hash.
    pub(super) fn of(records: &[(u64, &[u8])]) -> Self {
        let body: usize = records.iter().map(|(_, record)| record.len()).sum();
        let mut out = Vec::with_capacity(COUNT_BYTES + records.len() * (HASH_BYTES + END_BYTES) + body);
        let count = u16::try_from(records.len()).expect("pages are split long before");
        out.extend_from_slice(&count.to_le_bytes());
        records.iter().for_each(|(hash, _)| out.extend_from_slice(&hash.to_le_bytes()));
        let mut end = 0;
        for (_, record) in records {
            end += record.len();
            let end = u32::try_from(end).expect("Postgres bounds a row at 1.6 GB");
            out.extend_from_slice(&end.to_le_bytes());
        }
        records.iter().for_each(|(_, record)| out.extend_from_slice(record));
        Self(out.into())
    }

    /// A page from a checkpoint's bytes; `None` if they are not one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let page = Self(bytes.into());
        let count = usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
        let head = COUNT_BYTES + count * (HASH_BYTES + END_BYTES);
        if count == 0 || bytes.len() < head {
            return None;
        }
        let sorted = (1..count).all(|i| page.hash(i - 1) <= page.hash(i) && page.end(i - 1) <= page.end(i));
        (sorted && page.end(count - 1) == bytes.len() - head).then_some(page)
    }

    /// The bytes, for a checkpoint and for counting.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }

    /// The hash of record `i`.
    pub(super) fn hash(&self, i: usize) -> u64 {
        let at = COUNT_BYTES + i * HASH_BYTES;
        u64::from_le_bytes(self.0[at..at + HASH_BYTES].try_into().expect("eight bytes"))
    }

    fn end(&self, i: usize) -> usize {
        let at = COUNT_BYTES + self.len() * HASH_BYTES + i * END_BYTES;
        let end = u32::from_le_bytes(self.0[at..at + END_BYTES].try_into().expect("four bytes"));
        usize::try_from(end).expect("pages fit the address space")
    }

    /// Record `i`.
    pub(super) fn record(&self, i: usize) -> &[u8] {
        let body = COUNT_BYTES + self.len() * (HASH_BYTES + END_BYTES);
        let start = if i == 0 { 0 } else { self.end(i - 1) };
        &self.0[body + start..body + self.end(i)]
    }

    /// Index of the first record whose hash is at least `hash`.
    pub(super) fn lower_bound(&self, hash: u64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.hash(middle) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// All records with their hashes.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.len()).map(|i| (self.hash(i), self.record(i)))
    }

    /// The page with `record` put before (`replace`: instead of) record `i`, split in two when it has grown too large.
    pub(super) fn with(&self, i: usize, replace: bool, hash: u64, record: &[u8]) -> (Page, Option<Page>) {
        let page = self.spliced(i, usize::from(replace), Some((hash, record)));
        if page.0.len() <= PAGE_BYTES_MAX {
            return (page, None);
        }
        let records: Vec<(u64, &[u8])> = page.records().collect();
        match split_at(&records) {
            Some(at) => (Page::of(&records[..at]), Some(Page::of(&records[at..]))),
            None => (page, None),
        }
    }

    /// The page without record `i`; `None` when it was the only one.
    pub(super) fn without(&self, i: usize) -> Option<Page> {
        (self.len() > 1).then(|| self.spliced(i, 1, None))
    }

    /// The page with `removed` records (none or one) at `i` replaced by `added`: this is every change of a row, so it
    /// copies whole runs of bytes, and allocates once.
    fn spliced(&self, i: usize, removed: usize, added: Option<(u64, &[u8])>) -> Page {
        let (old, count) = (&self.0, self.len());
        let (hashes, ends) = (COUNT_BYTES, COUNT_BYTES + count * HASH_BYTES);
        let body = &old[ends + count * END_BYTES..];
        let start = if i == 0 { 0 } else { self.end(i - 1) };
        let resume = if removed == 0 { start } else { self.end(i) };
        let gone = resume - start;
        let new = added.map_or(0, |(_, record)| record.len());
        let new_count = count - removed + usize::from(added.is_some());
        SCRATCH.with_borrow_mut(|out| {
            out.clear();
            out.extend_from_slice(&u16::try_from(new_count).expect("pages are split long before").to_le_bytes());
            out.extend_from_slice(&old[hashes..hashes + i * HASH_BYTES]);
            if let Some((hash, _)) = added {
                out.extend_from_slice(&hash.to_le_bytes());
            }
            out.extend_from_slice(&old[hashes + (i + removed) * HASH_BYTES..ends]);
            out.extend_from_slice(&old[ends..ends + i * END_BYTES]);
            let mut put_end = |end: usize| {
                out.extend_from_slice(&u32::try_from(end).expect("Postgres bounds a row at 1.6 GB").to_le_bytes());
            };
            if added.is_some() {
                put_end(start + new);
            }
            (i + removed..count).for_each(|rest| put_end(self.end(rest) - gone + new));
            out.extend_from_slice(&body[..start]);
            if let Some((_, record)) = added {
                out.extend_from_slice(record);
            }
            out.extend_from_slice(&body[resume..]);
            Page(out.as_slice().into())
        })
    }
}

thread_local! {
    /// Where a page is put together before it gets its one allocation of the right size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where to split: near the middle by bytes, and never between equal hashes. `None`: nowhere.
fn split_at(records: &[(u64, &[u8])]) -> Option<usize> {
    let total: usize = records.iter().map(|(_, record)| record.len()).sum();
    let mut before = 0;
    let mut best: Option<(usize, usize)> = None;
    for at in 1..records.len() {
        before += records[at - 1].1.len();
        let uneven = before.abs_diff(total - before);
        if records[at - 1].0 != records[at].0 && best.is_none_or(|(_, least)| uneven < least) {
            best = Some((at, uneven));
        }
    }
    best.map(|(at, _)| at)
}
