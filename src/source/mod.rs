//! From Postgres to the tape: slot, publication, first copy, stream, feedback.
//!
//! ```text
//!  prepare   what the server says: identity, tables, publication, slot          (no tape needed, nothing streamed)
//!  plan      server against tape: refuse, copy first, or resume                 (pure; contract 4)
//!  run       a connection after the other, each compared with the tape again
//!    first_copy   intent > slot with snapshot > rows > copy's end
//!    ingest       THE loop: receive > assemble, append > sync > confirm         (one thread)
//!    refresh      a changed table is copied again at one exact position
//!    poll, heartbeat                                                            (beside the stream)
//! ```
//!
//! Invariants: the slot is told only what [`crate::tape::Durable`] says; nothing is skipped in silence: every connection
//! is compared with the tape before it streams; a unit on the tape is a whole transaction, or is abandoned.
//! Knows no sink, and none of the engines' tables.

mod append;
mod assemble;
mod catalog;
mod conversation;
mod copy;
mod error;
mod feedback;
mod first_copy;
mod heartbeat;
mod held_back;
mod ingest;
mod known;
mod message;
mod pace;
mod plan;
mod poll;
mod prepare;
pub mod publication;
mod receive;
mod refresh;
mod reset;
mod run;
pub mod server;
mod settings;
pub mod slot;
mod status;
pub mod tables;

pub use crate::pgoutput::TableFacts;
pub use catalog::TableSize;
pub use copy::Guard;
pub use error::Error;
pub use message::emit_message;
pub use plan::{Plan, TapeState, plan};
pub use prepare::{Prepared, prepare};
pub use reset::reset;
pub use run::{OnSync, Source};
pub use settings::Settings;
pub use status::{SlotStatus, SourceStatus, State, StatusHandle, TableStatus};
