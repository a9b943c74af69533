//! The only place that opens a connection to Postgres: addresses, TLS, session settings, SQLSTATE, quoting.
//!
//! Architecture invariant: knows no table.

mod address;
mod connect;
mod error;
mod quote;

pub use address::Address;
pub use connect::{CONNECT_TIMEOUT, Purpose, Session, Stream, connect, open_stream};
pub use error::{Error, SqlState, retryable};
pub use quote::{identifier, literal, table};
