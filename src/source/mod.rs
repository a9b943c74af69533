//! From Postgres to the tape: slot, publication, first copy, stream, feedback.
//!
//! ```text
//!  prepare   what the server says: identity, tables, publication, slot          (no tape needed, nothing streamed)
//!  plan      server against tape: refuse, copy first, or resume                 (pure; contract 4)
//!  run       THE ingest loop: receive -> assemble -> tape -> sync -> confirm    (one thread, reconnects by itself)
//! ```
//!
//! Invariants: the slot is told only what [`crate::tape::Durable`] says; nothing is skipped in silence: every connection
//! is checked against the tape before it streams; a unit on the tape is a whole transaction, or is abandoned.
//! Knows no sink, and none of the engines' tables.

mod error;
mod settings;
mod status;

pub use crate::pgoutput::TableFacts;
pub use error::Error;
pub use settings::Settings;
pub use status::{SlotStatus, SourceStatus, State, StatusHandle, TableStatus};
