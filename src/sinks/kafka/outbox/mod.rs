//! The outbox: rows of a table become records of the topics of their aggregates, each once, in order per aggregate.
//!
//! ```text
//!  insert ──▶ due, and nothing of its aggregate waits? ── yes ─▶ Out ─▶ outcome (note) ─▶ desk ─▶ marker ─▶ Postgres
//!                │ no                                      ▲                ▲                        │ UPDATE
//!                ▼                                         │ due()          └── removed ◀── the mark comes back over the tape
//!             parked (note), by aggregate ─────────────────┘
//! ```
//!
//! Invariants: what a restart must know is in notes, committed in one Kafka transaction with the records they speak of;
//! they are trusted, not the table's columns. A row that waits (not available yet, or failed and to be tried again) holds
//! back the later rows of its aggregate until it is delivered or dead-lettered. Our own marks come back as updates and
//! emit nothing; only an insert and an operator's retry do. Postgres is marked after the Kafka commit, and neither the
//! feed nor the tape ever waits for that.
//!
//! A table without columns to mark (Debezium's own form) is delivered when the Kafka transaction is committed; its rows
//! may be deleted in the transaction that inserted them.

mod backoff;
mod columns;
mod desk;
mod feed;
mod marker;
mod note;
mod parked;
mod record;
mod setup;
mod sql;
mod time;
mod waiting;

#[cfg(test)]
mod tests;

pub use columns::Layout;
pub use desk::{Desk, Mark, MarkerStatus, Outcome, Overview, ParkedRow, StatusHandle};
pub use feed::{OutboxFeed, RETRY_PREFIX};
pub use marker::Marker;
pub use setup::Setup;
pub use sql::{Statements, Types, open_condition};
