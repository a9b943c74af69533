//! The standby: every captured table in memory, exact text, whole transactions, and order books on top.
//!
//! One thread applies; readers take immutable views, published at commit boundaries only. Knows nothing of roll-ups.

mod apply;
mod bag;
mod books;
pub(in crate::sinks) mod checkpoint;
mod index;
mod layout;
mod level;
mod page;
mod reader;
mod row;
mod rows;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use apply::{ApplyError, Observer, Unit, Unobserved};
pub use books::{Book, BookSpec, Books, ShownLevel};
pub use layout::Layout;
pub use reader::{Behind, Publisher, StandbyReader};
pub use row::Row;
pub use store::{Extras, Store};
pub use table::{BadToken, Counters, OwnedRow, Table, Token};
pub use view::View;

/// An index to keep on a table, beside its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// The table.
    pub table: crate::model::TableName,
    /// The columns, in order.
    pub columns: Vec<String>,
}

/// A row that a sink cannot use, or can again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The table.
    pub table: crate::model::TableName,
    /// The values of its key (of all columns, in a table without one).
    pub key: Vec<Option<String>>,
    /// The row by column; empty when it can be used again.
    pub row: Vec<(String, Option<String>)>,
    /// Why it cannot be used; `None`: it can again, or it is gone.
    pub why: Option<String>,
}
