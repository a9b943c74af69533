//! The standby: every captured table in memory, exact text, whole transactions, and order books on top.
//!
//! One thread applies; readers take immutable views, published at commit boundaries only. Knows nothing of roll-ups.

mod books;
mod index;
mod layout;
mod level;
mod page;
mod reader;
mod row;
mod rows;
mod table;
mod view;

pub use books::{Book, BookSpec, Books, ShownLevel};
pub use layout::Layout;
pub use reader::{Behind, Publisher, StandbyReader};
pub use row::Row;
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
