//! What a record says besides its row.

use super::source::Place;
use crate::model::Lsn;

/// What a record says besides its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// Where and when the change happened.
    pub place: Place<'a>,
    /// When the record is written, microseconds since the Unix epoch.
    pub written_us: i64,
    /// Its number within its transaction, where transaction metadata is on.
    pub transaction: Option<InTransaction>,
}

/// A transaction, by the name that its records share: `<xid>:<lsn>`. Debezium takes the LSN of the first change for the
/// begin and for the changes, and that of the commit's end for the end: who matches them looks at the xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionId {
    /// Its xid.
    pub xid: u32,
    /// One of its LSNs.
    pub lsn: Lsn,
}

/// A change's numbers within its transaction, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InTransaction {
    /// The transaction.
    pub id: TransactionId,
    /// Number among all its changes.
    pub total_order: u64,
    /// Number among its changes of the same table.
    pub table_order: u64,
}

impl InTransaction {
    /// The numbers of the change after it, in the same table.
    pub(super) const fn next(self) -> Self {
        Self { id: self.id, total_order: self.total_order + 1, table_order: self.table_order + 1 }
    }
}
