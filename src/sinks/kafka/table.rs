//! A table's changes as records, in the format that is configured.

use super::encode::{Records, Stamp};
use super::{Unfit, avro, json};
use crate::pgoutput::{OldKind, Tuple};

/// Writes the records of one table. What each function promises is said at [`super::encode::Changes`].
#[derive(Debug, Clone)]
pub enum Table {
    /// Debezium's JSON.
    Json(json::Table),
    /// Debezium's records in Avro.
    Avro(avro::Table),
}

impl Table {
    /// A new row: `c`.
    pub fn insert(&self, new: Tuple<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        match self {
            Table::Json(table) => table.insert(new, stamp, records),
            Table::Avro(table) => table.insert(new, stamp, records),
        }
    }

    /// A row that was read from the table: `r`.
    pub fn read(&self, row: Tuple<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        match self {
            Table::Json(table) => table.read(row, stamp, records),
            Table::Avro(table) => table.read(row, stamp, records),
        }
    }

    /// A changed row: `u`, or `d`, tombstone and `c` where it has another key now.
    pub fn update(
        &self,
        old: Option<(OldKind, Tuple<'_>)>,
        new: Tuple<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        match self {
            Table::Json(table) => table.update(old, new, stamp, records),
            Table::Avro(table) => table.update(old, new, stamp, records),
        }
    }

    /// A removed row: `d`, and its tombstone.
    pub fn delete(
        &self,
        kind: OldKind,
        old: Tuple<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        match self {
            Table::Json(table) => table.delete(kind, old, stamp, records),
            Table::Avro(table) => table.delete(kind, old, stamp, records),
        }
    }

    /// The table was emptied: `t`.
    pub fn truncate(&self, stamp: &Stamp<'_>, records: &mut Records) -> u64 {
        match self {
            Table::Json(table) => table.truncate(stamp, records),
            Table::Avro(table) => table.truncate(stamp, records),
        }
    }
}
