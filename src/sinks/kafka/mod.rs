//! The pure part of the Kafka sink: from decoded changes to the names of topics and the bytes of keys and values.
//!
//! `json` writes what Debezium's PostgreSQL connector writes with `schemas.enable=false`, so that consumers made for it
//! can read from us; `avro` what it writes with a schema registry; `encode` is what both share. `topic` names the topics as
//! it does.
//!
//! Invariants: no I/O, no clock, no broker: times and positions come in as arguments. No value is changed silently: what
//! cannot be written is [`Unfit`], and the caller puts the row aside. Knows nothing of the tape and of producers.

pub mod avro;
pub mod changes;
#[cfg(feature = "kafka")]
pub mod client;
pub mod encode;
pub mod feed;
pub mod json;
pub mod orders;
pub mod outbox;
pub mod progress;
pub mod registry;
#[cfg(feature = "kafka")]
pub mod relay;
pub mod report;
pub mod settings;
mod table;
pub mod topic;
mod unfit;

pub use table::Table;
pub use unfit::Unfit;
