//! Numbers of changes within their transaction, and the topic of transactions' begins and ends.

use crate::model::{Lsn, TableName};
use crate::sinks::kafka::json::{InTransaction, TransactionId};

/// The transaction that is being produced.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    id: Option<TransactionId>,
    total: u64,
    tables: Vec<(TableName, u64)>,
}

impl Numbers {
    /// A transaction begins.
    pub(super) fn clear(&mut self) {
        self.id = None;
        self.total = 0;
        self.tables.clear();
    }

    /// Its name, once it has a change.
    pub(super) const fn id(&self) -> Option<TransactionId> {
        self.id
    }

    /// Its first change is at `lsn`. Returns whether it is the first.
    pub(super) fn name(&mut self, xid: u32, lsn: Lsn) -> bool {
        let first = self.id.is_none();
        self.id.get_or_insert(TransactionId { xid, lsn });
        first
    }

    /// The numbers of the next change, of `table`.
    pub(super) fn next(&self, table: Option<&TableName>) -> Option<InTransaction> {
        let before = self.tables.iter().find(|(name, _)| Some(name) == table).map_or(0, |(_, count)| *count);
        let id = self.id?;
        Some(InTransaction { id, total_order: self.total + 1, table_order: before + 1 })
    }

    /// `events` changes of `table` were made.
    pub(super) fn count(&mut self, table: Option<&TableName>, events: u64) {
        self.total += events;
        let Some(table) = table else { return };
        match self.tables.iter_mut().find(|(name, _)| name == table) {
            Some((_, count)) => *count += events,
            None => self.tables.push((table.clone(), events)),
        }
    }

    /// The number of its changes, logical messages among them.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Tables with their number of changes, the first changed first.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&TableName, u64)> + Clone {
        self.tables.iter().map(|(table, count)| (table, *count))
    }
}
