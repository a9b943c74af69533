//! The only place that opens a connection to Postgres: addresses, TLS, session settings, SQLSTATE, quoting.
//!
//! Architecture invariant: knows no table.

mod address;
mod connect;
mod error;
mod login;
mod quote;
mod wire;

pub use address::Address;
pub use connect::{CONNECT_TIMEOUT, Purpose, Session, Stream, connect, open_stream};
pub use error::{Error, SqlState, retryable};
pub use quote::{copy_rows, identifier, literal, table};
pub use wire::{TextRow, Wire, WireOptions};
pub(crate) use wire::{error_response, unexpected};
