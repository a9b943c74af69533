//! The words of the system, as types. No I/O here, and nothing that knows a server, a file or an engine.

mod lsn;
mod position;
mod table;

pub use lsn::{Lsn, ParseLsnError};
pub use position::{OP_ALL, ParsePositionError, Position};
pub use table::{Column, Identity, Pattern, Relation, TableName};
