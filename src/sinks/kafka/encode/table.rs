//! A table's changes as records.
//!
//! | change | records |
//! |---|---|
//! | insert, copied row | `c`, `r` |
//! | update | `u`; `before` is the whole old row under REPLICA IDENTITY FULL, else null |
//! | update of the key | `d` of the old key, its tombstone, `c` |
//! | delete | `d`, tombstone; without a key no tombstone (Debezium sends one), for it would not say of which row |
//! | truncate | `t`, without a key |

use std::ops::Range;

use super::atoms::Atoms;
use super::modes::Modes;
use super::records::{Header, Records};
use super::row::{Columns, Old};
use super::stamp::{InTransaction, Stamp};
use super::types::Types;
use crate::model::Relation;
use crate::pgoutput::{OldKind, TableFacts, Tuple};
use crate::sinks::kafka::Unfit;

/// What a format writes around the rows of a table.
pub trait Frame {
    /// What it writes rows with.
    type Atoms: Atoms;

    /// A key begins.
    fn open_key(&self, out: &mut Vec<u8>);
    /// It ends.
    fn close_key(&self, _out: &mut Vec<u8>) {}
    /// A value begins: the row as it was follows.
    fn open_value(&self, out: &mut Vec<u8>);
    /// The row as it is follows.
    fn open_after(&self, out: &mut Vec<u8>);
    /// Which rows are written.
    fn rows(&self) -> Rows {
        Rows::BeforeAndAfter
    }
    /// What follows the rows: source, transaction, operation, times.
    fn close_value(&self, op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>);
}

/// Which rows of a change are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// The row as it was and as it is, each of which may be missing.
    BeforeAndAfter,
    /// The row as it is, of a delete as it was; without fields where there is none.
    One,
}

/// Writes the records of one table, in the shape of one Relation message.
///
/// Each function appends the records of one change, or none when it fails, and returns how many of them have a number
/// within their transaction: all but tombstones.
#[derive(Debug, Clone)]
pub struct Changes<F: Frame> {
    columns: Columns<F::Atoms>,
    frame: F,
}

/// A row of an envelope.
#[derive(Clone, Copy)]
enum Side<'a> {
    Null,
    Old(OldKind, Tuple<'a>),
    New(Tuple<'a>, Old<'a>),
}

impl<F: Frame> Changes<F> {
    /// Chooses everything that does not depend on a row. `facts` tell the primary key's order, and the key under
    /// REPLICA IDENTITY FULL.
    #[must_use]
    pub fn within(frame: F, relation: &Relation, facts: Option<&TableFacts>, modes: &Modes, types: &Types) -> Self {
        Self { columns: Columns::new(relation, facts, modes, types), frame }
    }

    /// A new row: `c`.
    pub fn insert(&self, new: Tuple<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        self.put_row(b'c', new, stamp, records)
    }

    /// A row that was read from the table: `r`.
    pub fn read(&self, row: Tuple<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        self.put_row(b'r', row, stamp, records)
    }

    /// A changed row: `u`, or `d`, tombstone and `c` where it has another key now.
    pub fn update(
        &self,
        old: Option<(OldKind, Tuple<'_>)>,
        new: Tuple<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        records.all_or_nothing(|records| {
            if let Some((kind, old)) = old
                && self.columns.is_moved(new, Some((kind, old)))
            {
                return self.put_move(kind, old, new, stamp, records);
            }
            let before = match old {
                Some((OldKind::Full, old)) => Side::Old(OldKind::Full, old),
                Some((OldKind::Key, _)) | None => Side::Null,
            };
            let key = self.new_key(new, old, records)?;
            let value = self.envelope(b'u', before, Side::New(new, old), stamp, records)?;
            records.push(key, Some(value), None);
            Ok(1)
        })
    }

    /// A removed row: `d`, and its tombstone.
    pub fn delete(
        &self,
        kind: OldKind,
        old: Tuple<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        records.all_or_nothing(|records| {
            let key = self.old_key(old, records)?;
            let value = self.envelope(b'd', Side::Old(kind, old), Side::Null, stamp, records)?;
            records.push(key.clone(), Some(value), None);
            if key.is_some() {
                records.push(key, None, None);
            }
            Ok(1)
        })
    }

    /// The table was emptied: `t`.
    pub fn truncate(&self, stamp: &Stamp<'_>, records: &mut Records) -> u64 {
        let value = records.sure_part(|out| {
            self.frame.open_value(out);
            self.put_rows(b't', Side::Null, Side::Null, out).expect("there is no row that could not be written");
            self.frame.close_value(b't', stamp, out);
        });
        records.push(None, Some(value), None);
        1
    }

    fn put_row(&self, op: u8, row: Tuple<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        records.all_or_nothing(|records| {
            let key = self.new_key(row, None, records)?;
            let value = self.envelope(op, Side::Null, Side::New(row, None), stamp, records)?;
            records.push(key, Some(value), None);
            Ok(1)
        })
    }

    /// Two changes: the third record has the next number within the transaction.
    fn put_move(
        &self,
        kind: OldKind,
        old: Tuple<'_>,
        new: Tuple<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        let told = Some((kind, old));
        let old_key = records.part(|out| self.put_old_key(old, out))?;
        let new_key = records.part(|out| self.put_new_key(new, told, out))?;
        let deleted = self.envelope(b'd', Side::Old(kind, old), Side::Null, stamp, records)?;
        let next = Stamp { transaction: stamp.transaction.map(InTransaction::next), ..*stamp };
        let created = self.envelope(b'c', Side::Null, Side::New(new, told), &next, records)?;
        let to_new = Some((Header::NewKey, new_key.clone()));
        records.push(Some(old_key.clone()), Some(deleted), to_new.clone());
        records.push(Some(old_key.clone()), None, to_new);
        records.push(Some(new_key), Some(created), Some((Header::OldKey, old_key)));
        Ok(2)
    }

    fn new_key(&self, new: Tuple<'_>, old: Old<'_>, records: &mut Records) -> Result<Option<Range<usize>>, Unfit> {
        let put = |out: &mut Vec<u8>| self.put_new_key(new, old, out);
        self.columns.has_key().then(|| records.part(put)).transpose()
    }

    fn old_key(&self, old: Tuple<'_>, records: &mut Records) -> Result<Option<Range<usize>>, Unfit> {
        let put = |out: &mut Vec<u8>| self.put_old_key(old, out);
        self.columns.has_key().then(|| records.part(put)).transpose()
    }

    fn put_new_key(&self, new: Tuple<'_>, old: Old<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.frame.open_key(out);
        self.columns.put_new_key(new, old, out)?;
        self.frame.close_key(out);
        Ok(())
    }

    fn put_old_key(&self, old: Tuple<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.frame.open_key(out);
        self.columns.put_old_key(old, out)?;
        self.frame.close_key(out);
        Ok(())
    }

    fn envelope(
        &self,
        op: u8,
        before: Side<'_>,
        after: Side<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<Range<usize>, Unfit> {
        records.part(|out| {
            self.frame.open_value(out);
            self.put_rows(op, before, after, out)?;
            self.frame.close_value(op, stamp, out);
            Ok(())
        })
    }

    fn put_rows(&self, op: u8, before: Side<'_>, after: Side<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match self.frame.rows() {
            Rows::BeforeAndAfter => {
                self.put_side(before, out)?;
                self.frame.open_after(out);
                self.put_side(after, out)
            }
            Rows::One => match if op == b'd' { before } else { after } {
                Side::Null => {
                    F::Atoms::close_record(true, out);
                    Ok(())
                }
                row @ (Side::Old(..) | Side::New(..)) => self.put_side(row, out),
            },
        }
    }

    fn put_side(&self, side: Side<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match side {
            Side::Null => F::Atoms::none(out),
            Side::Old(kind, old) => {
                F::Atoms::some(out);
                self.columns.put_old(kind, old, out)?;
            }
            Side::New(new, old) => {
                F::Atoms::some(out);
                self.columns.put_new(new, old, out)?;
            }
        }
        Ok(())
    }
}
