//! Debezium's JSON, byte for byte: compact, every field present, `null` explicit, non-ASCII as it is.
//!
//! `atoms` write values, `source` and `envelope` what stands around rows, `connect` the schemas beside them, if they are
//! wanted.
//!
//! Invariant: what one call appends is complete JSON, or nothing.

mod atoms;
mod connect;
mod envelope;
mod float;
mod source;
#[cfg(test)]
mod tests;
mod text;

pub use super::encode::{
    Compat, Connector, Decimals, Encoder, Header, InTransaction, Intervals, Modes, Place, Record, Records, Snapshot,
    Stamp, Times, TransactionId, Types, UNAVAILABLE,
};
pub use atoms::Json;
pub use connect::Heads;
pub use envelope::{Envelope, PLAIN_FIELDS, put_begin, put_end, put_heartbeat, put_message};

/// Writes the records of one table as JSON.
pub type Table = super::encode::Changes<Envelope>;
