//! What readers see: all tables and books at one commit, never to change again.

use std::sync::Arc;

use imbl::OrdMap;

use super::books::Books;
use super::table::Table;
use crate::model::{Lsn, Position, TableName};

/// All tables at one commit boundary. A clone costs nothing; holding one keeps the rows it shows in memory.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Everything up to here is in it, and nothing after.
    pub position: Position,
    /// The epoch of that position; 0 before the first copy.
    pub epoch: u32,
    /// Commit time of the last transaction in it, microseconds since the Unix epoch; 0 before the first.
    pub commit_time_us: i64,
    /// Transactions applied in this epoch.
    pub transactions: u64,
    pub(super) tables: OrdMap<TableName, Arc<Table>>,
    pub(super) books: Books,
}

impl View {
    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// All tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The order books.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Memory of all rows, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables().map(|t| t.bytes()).sum()
    }

    /// Whether every commit up to `lsn` is in it.
    #[must_use]
    pub fn covers(&self, lsn: Lsn) -> bool {
        self.position >= Position::whole(lsn)
    }
}
