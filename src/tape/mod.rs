//! The tape: a durable, ordered, checksummed log of whole transactions, in segment files of its own.
//!
//! Knows positions and bytes. Knows nothing of Postgres: messages are opaque.

mod error;
mod reader;
mod types;
mod watermark;
mod writer;

pub use error::Error;
pub use reader::{Entry, Messages, Reader, Transaction};
pub use types::{Begin, Gap, Head, Intent, Kind, Origin, Proof, TapeId};
pub use watermark::{End, Watermark};
pub use writer::{Durable, Options, Recovered, Writer};
