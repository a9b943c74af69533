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
use std::sync::Arc;

use super::envelope::{InTransaction, Stamp, put_tail};
use super::modes::Modes;
use super::records::{Header, Records};
use super::row::{Columns, Old};
use super::source::{Connector, milliseconds, put_source, table_part};
use super::text::put_number;
use super::types::Types;
use crate::model::Relation;
use crate::pgoutput::{OldKind, TableFacts, Tuple};
use crate::sinks::kafka::Unfit;

/// Writes the records of one table, in the shape of one Relation message.
///
/// Each function appends the records of one change, or none when it fails, and returns how many of them have a number
/// within their transaction: all but tombstones.
#[derive(Debug, Clone)]
pub struct Table {
    connector: Arc<Connector>,
    columns: Columns,
    /// The table's part of `source`.
    source: Vec<u8>,
    /// Whether rows stand alone, without an envelope.
    plain: bool,
}

/// A row of an envelope.
#[derive(Clone, Copy)]
enum Side<'a> {
    Null,
    Old(OldKind, Tuple<'a>),
    New(Tuple<'a>, Old<'a>),
}

impl Table {
    /// Chooses everything that does not depend on a row. `facts` tell the primary key's order, and the key under
    /// REPLICA IDENTITY FULL.
    #[must_use]
    pub fn new(
        connector: &Arc<Connector>,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        Self {
            connector: connector.clone(),
            columns: Columns::new(relation, facts, modes, types),
            source: table_part(&relation.table),
            plain: false,
        }
    }

    /// The same without an envelope: the row (of a delete, the old one), and beside its columns `__op`, `__lsn`,
    /// `__source_ts_ms` and `__deleted`, as Debezium's transformation `ExtractNewRecordState` can add them.
    #[must_use]
    pub fn plain(
        connector: &Arc<Connector>,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        Self { plain: true, ..Self::new(connector, relation, facts, modes, types) }
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
            if self.plain {
                out.push(b'{');
                return put_plain_tail(b't', true, stamp, out);
            }
            out.extend_from_slice(b"{\"before\":null,\"after\":null,\"source\":");
            put_source(&self.connector, &self.source, &stamp.place, out);
            put_tail(b't', stamp, out);
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
        let old_key = records.part(|out| self.columns.put_old_key(old, out))?;
        let new_key = records.part(|out| self.columns.put_new_key(new, told, out))?;
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
        let put = |out: &mut Vec<u8>| self.columns.put_new_key(new, old, out);
        self.columns.has_key().then(|| records.part(put)).transpose()
    }

    fn old_key(&self, old: Tuple<'_>, records: &mut Records) -> Result<Option<Range<usize>>, Unfit> {
        let put = |out: &mut Vec<u8>| self.columns.put_old_key(old, out);
        self.columns.has_key().then(|| records.part(put)).transpose()
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
            if self.plain {
                self.put_side(if op == b'd' { before } else { after }, out)?;
                out.pop();
                put_plain_tail(op, self.columns.is_empty(), stamp, out);
                return Ok(());
            }
            out.extend_from_slice(b"{\"before\":");
            self.put_side(before, out)?;
            out.extend_from_slice(b",\"after\":");
            self.put_side(after, out)?;
            out.extend_from_slice(b",\"source\":");
            put_source(&self.connector, &self.source, &stamp.place, out);
            put_tail(op, stamp, out);
            Ok(())
        })
    }

    fn put_side(&self, side: Side<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match side {
            Side::Null => out.extend_from_slice(b"null"),
            Side::Old(kind, old) => self.columns.put_old(kind, old, out)?,
            Side::New(new, old) => self.columns.put_new(new, old, out)?,
        }
        Ok(())
    }
}

/// What stands beside the columns of a row without an envelope.
fn put_plain_tail(op: u8, is_first: bool, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(if is_first { b"\"__op\":\"" } else { b",\"__op\":\"" });
    out.push(op);
    out.extend_from_slice(b"\",\"__lsn\":");
    put_number(stamp.place.lsn.0, out);
    out.extend_from_slice(b",\"__source_ts_ms\":");
    put_number(milliseconds(stamp.place.commit_time_us), out);
    out.extend_from_slice(if op == b'd' { b",\"__deleted\":\"true\"}" } else { b",\"__deleted\":\"false\"}" });
}
