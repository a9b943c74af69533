//! Debezium's JSON, byte for byte: compact, every field present, `null` explicit, non-ASCII as it is.
//!
//! `value` writes a column's value, `row` rows and keys, `source` and `envelope` what stands around them, `table` turns a
//! change into the records it makes. All of it appends to buffers that the caller reuses.
//!
//! Invariant: what one call appends is complete JSON, or nothing.

mod array;
mod binary;
mod calendar;
mod decimal;
mod envelope;
mod hstore;
mod modes;
mod number;
mod records;
mod row;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod types;
mod value;

pub use envelope::{InTransaction, Stamp, TransactionId, put_begin, put_end, put_heartbeat, put_message};
pub use modes::{Compat, Decimals, Intervals, Modes, Times};
pub use records::{Header, Record, Records};
pub use source::{Connector, Place, Snapshot};
pub use table::Table;
pub use types::Types;
pub use value::{Encoder, UNAVAILABLE};
