//! HTTP on loopback: health, status, rows, books, snapshots, verify.
//!
//! Invariants: every answer carries `Pgtape-Position`; what a read returns is one commit boundary, never part of a
//! transaction; the number of requests and of streamed answers, and the memory of each, are bounded.
//! Holds read handles only, and one to ask for a verification. Knows no engine.

mod app;
mod books;
mod error;
mod health;
mod json;
mod kafka;
mod outbox;
mod params;
mod read;
mod router;
mod rows;
mod serve;
mod snapshot;
mod stamp;
mod status;
mod stream;
mod verify;

#[cfg(test)]
pub(crate) mod tests;

pub use app::{Limits, Service, VerifyFuture, VerifyHandle};
pub use error::{ApiError, Code};
pub use kafka::{KafkaOrders, OrderFuture};
pub use router::router;
pub use serve::{ADDRESS_FILE, Bound, bind};
pub use status::{Alarm, KafkaStatus, SinkStatus, SlotStatus, SourceStatus, Status, TableStatus, TapeStatus};
