//! Everything that talks to Kafka; the only place that knows librdkafka.
//!
//! Invariants: nothing is retried here; after any failure that leaves the outcome open the caller drops the producer and
//! begins again from the progress record. Secrets are in the properties alone, which are never shown.

mod failure;
mod notes;
mod producer;
mod properties;
mod topics;

pub use failure::Failure;
pub use notes::{Found, read};
pub use producer::{Producer, Sent, Sizes};
pub use topics::{TopicFacts, Topics};
