//! `[[kafka]]`: the Kafka sinks, checked.

mod check;
mod profile;
pub(super) mod raw;
mod registry;
mod security;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::config::KafkaOutbox;
use crate::model::Pattern;

pub(super) use check::check;
pub use registry::Registry;
pub use security::Secret;

/// One Kafka sink.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Its name.
    pub name: String,
    /// `bootstrap.servers`.
    pub brokers: String,
    /// Names the source in topics, and with the name the sink in Kafka.
    pub topic_prefix: String,
    /// The name of a table's topic.
    pub topic: String,
    /// Tables to produce.
    pub tables: Vec<Pattern>,
    /// Tables to leave out of those.
    pub exclude: Vec<Pattern>,
    /// Where a sink without progress begins.
    pub initial: Initial,
    /// Whether brokers' transactions are used.
    pub exactly_once: bool,
    /// The topic of progress records.
    pub progress_topic: String,
    /// Where records go that cannot be produced; empty for `<prefix>.quarantine`.
    pub quarantine_topic: String,
    /// The form of records.
    pub form: Form,
    /// Whether a topic stops at a record that cannot be produced.
    pub stop_when_unfit: bool,
    /// `None` for no heartbeats.
    pub heartbeat_every: Option<Duration>,
    /// Larger records are put into quarantine.
    pub message_bytes_max: usize,
    /// Records of one Kafka transaction.
    pub transaction_records: u64,
    /// Bytes of one Kafka transaction.
    pub transaction_bytes: u64,
    /// Age of a Kafka transaction while more is coming.
    pub transaction_age: Duration,
    /// The coordinator ends a transaction after this.
    pub transaction_timeout: Duration,
    /// Time from a commit to the next transaction.
    pub linger: Duration,
    /// Masked columns are hashed with this.
    pub mask_secret: Secret,
    /// How topics are made; `None`: they must exist.
    pub topics: Option<Topics>,
    /// Properties of librdkafka: those of security, then those that the configuration adds.
    pub properties: Vec<(String, Secret)>,
    /// Where the schemas of Avro are.
    pub registry: Option<Registry>,
    /// What is different for some tables.
    pub table: Vec<Table>,
    /// It relays an outbox, instead of changes.
    pub outbox: Option<KafkaOutbox>,
}

/// Where a sink without progress begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// With the rows of its tables.
    Copy,
    /// With the oldest transaction of the tape.
    Earliest,
    /// With the next commit.
    Now,
}

/// The form of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Of keys and values.
    pub format: Format,
    /// Whether each key and value of JSON holds its schema.
    pub schemas: bool,
    /// Whether Debezium's fillers are written.
    pub strict: bool,
    /// `numeric` and `money`.
    pub decimals: Decimals,
    /// Dates and times.
    pub times: Times,
    /// Whether intervals are ISO text instead of microseconds.
    pub iso_intervals: bool,
    /// What becomes of a TRUNCATE.
    pub truncate: Truncate,
    /// Whether deletes are followed by tombstones.
    pub tombstones: bool,
    /// Whether logical messages are produced.
    pub messages: bool,
    /// Whether transactions are told.
    pub transactions: bool,
    /// Whether tables must send whole old rows.
    pub whole_rows: bool,
}

/// The form of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Debezium's envelope.
    Json,
    /// The row, flat.
    Plain,
    /// Debezium's envelope in Avro.
    Avro,
}

/// `numeric` and `money`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// Plain text.
    Text,
    /// Unscaled bytes.
    Precise,
    /// The nearest double.
    Double,
}

/// Dates and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// By the column's precision.
    Adaptive,
    /// Microseconds.
    Microseconds,
    /// ISO 8601.
    IsoString,
}

/// What becomes of a TRUNCATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// A record `t`.
    Event,
    /// A delete of each row.
    Deletes,
    /// Nothing.
    Skip,
    /// The topic stops.
    Stop,
}

/// How topics are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Partitions; `None` for the broker's default.
    pub partitions: Option<i32>,
    /// Replicas; `None` for the broker's default.
    pub replication: Option<i32>,
    /// Configs.
    pub configs: Vec<(String, String)>,
}

/// What is different for some tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The tables.
    pub tables: Pattern,
    /// The name of their topic.
    pub topic: Option<String>,
    /// The columns of the key.
    pub key: Option<Vec<String>>,
    /// Columns not to be seen: left out (`true`) or hashed.
    pub masks: Vec<(String, bool)>,
}
