//! How a Kafka sink is doing.

use serde::Serialize;

use super::changes::Stop;
use crate::model::Position;
use crate::sinks::status::{SinkStatus, State};

/// A Kafka transaction that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Transacted {
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
    /// Records in it, progress and notes not counted.
    pub records: u64,
    /// Bytes of their keys, values and headers.
    pub bytes: u64,
    /// From the first record to the answer of the coordinator, milliseconds.
    pub took_ms: u64,
}

/// How a Kafka sink is doing.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its name.
    pub sink: String,
    /// What it is doing.
    pub state: State,
    /// Everything up to here has had its effect in Kafka, as far as it has any.
    pub position: Position,
    /// The position that is committed in Kafka.
    pub committed: Position,
    /// The epoch of that position.
    pub epoch: u32,
    /// Commit time of the last source transaction in it.
    pub commit_time_us: i64,
    /// How often an operator moved it.
    pub moves: u64,
    /// Records produced since the progress began.
    pub records: u64,
    /// Bytes of keys, values and headers, since the start of the service.
    pub bytes: u64,
    /// Kafka transactions, since the start of the service.
    pub transactions: u64,
    /// Records that went into quarantine, ever.
    pub quarantined: u64,
    /// The last transaction.
    pub last: Option<Transacted>,
    /// Topics that have stopped.
    pub stopped: Vec<Stop>,
    /// Its outbox, if it relays one.
    pub outbox: Option<OutboxReport>,
    /// What is wrong, if something is.
    pub error: Option<String>,
}

/// How an outbox is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxReport {
    /// Rows that wait for their time, or for another attempt.
    pub waiting: u64,
    /// Marks that Postgres has not taken yet.
    pub unmarked: u64,
    /// Why the last mark could not be written.
    pub error: Option<String>,
}

impl Report {
    /// Of a sink that has just been started.
    #[must_use]
    pub fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            state: State::Starting,
            position: Position::ZERO,
            committed: Position::ZERO,
            epoch: 0,
            commit_time_us: 0,
            moves: 0,
            records: 0,
            bytes: 0,
            transactions: 0,
            quarantined: 0,
            last: None,
            stopped: Vec::new(),
            outbox: None,
            error: None,
        }
    }

    /// What it has in common with every sink. Records in quarantine are in Kafka, and so on no list of ours.
    #[must_use]
    pub fn as_sink(&self) -> SinkStatus {
        SinkStatus {
            sink: self.sink.clone(),
            state: self.state,
            position: self.position,
            epoch: self.epoch,
            commit_time_us: self.commit_time_us,
            committed: Some(self.committed),
            generation: i64::try_from(self.moves).ok(),
            quarantined: 0,
            quarantined_total: self.quarantined,
            error: self.error.clone(),
        }
    }
}
