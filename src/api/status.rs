//! `/v1/status`: the whole service at one moment, as docs/API.md lists it.

use serde::Serialize;

use crate::model::{Lsn, Position, TableName};

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The version of pgtape, with its commit.
    pub version: String,
    /// Whether reads are answered from a caught-up standby.
    pub ready: bool,
    /// Why not ready.
    pub reason: Option<String>,
    /// Since the process started, in seconds.
    pub uptime_seconds: u64,
    /// The cluster's system identifier; text, since it does not fit a double.
    pub system_id: String,
    /// The server's version.
    pub server_version: String,
    /// The server's timeline.
    pub timeline: u32,
    /// The database.
    pub database: String,
    /// The connection to the server.
    pub source: SourceStatus,
    /// The slot.
    pub slot: SlotStatus,
    /// The log.
    pub tape: TapeStatus,
    /// The sinks.
    pub sinks: Vec<SinkStatus>,
    /// What the Kafka sinks say beside that.
    pub kafka: Vec<KafkaStatus>,
    /// The captured tables.
    pub tables: Vec<TableStatus>,
    /// What an operator should look at now.
    pub alarms: Vec<Alarm>,
}

/// The connection to the server.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStatus {
    /// connecting, copying, streaming, refreshing, reconnecting or stopped.
    pub state: &'static str,
    /// End of the newest transaction received.
    pub received: Lsn,
    /// The server's flush LSN when last asked.
    pub server_end: Lsn,
    /// Transactions received since the start.
    pub transactions: u64,
    /// Rows copied so far, while copying.
    pub copied_rows: u64,
    /// Connections made again since the start.
    pub reconnects: u64,
    /// Why the last connection ended.
    pub last_error: Option<String>,
}

/// The slot.
#[derive(Debug, Clone, Serialize)]
pub struct SlotStatus {
    /// Its name.
    pub name: String,
    /// Whether a connection uses it; null before the first answer of the server, as the rest.
    pub active: Option<bool>,
    /// Commits up to here are durable on the tape.
    pub confirmed: Option<Lsn>,
    /// The server keeps WAL from here.
    pub restart: Option<Lsn>,
    /// reserved, extended, unreserved or lost.
    pub wal_status: Option<String>,
    /// WAL the server keeps for the slot.
    pub retained_bytes: Option<u64>,
}

/// The log.
#[derive(Debug, Clone, Serialize)]
pub struct TapeStatus {
    /// Before the oldest transaction that is kept.
    pub oldest: Position,
    /// The end of what is appended.
    pub newest: Position,
    /// The end of what is fsynced.
    pub durable: Position,
    /// Bytes of the server's WAL that are not durable here yet.
    pub lag_bytes: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files.
    pub segments: u64,
    /// The epoch of new transactions.
    pub epoch: u32,
    /// writing, or full while there is no space.
    pub state: &'static str,
}

/// A sink.
#[derive(Debug, Clone, Serialize)]
pub struct SinkStatus {
    /// Its name: standby, or a roll-up's target.
    pub sink: String,
    /// Everything up to here has had its effect.
    pub position: Position,
    /// The epoch of that position.
    pub epoch: u32,
    /// A roll-up's generation: it grows with every rewind and rebuild. Null for the standby.
    pub generation: Option<i64>,
    /// Between position and the tape's durable end.
    pub lag_bytes: u64,
    /// Age of the oldest transaction without effect; 0 when there is none.
    pub lag_ms: u64,
    /// starting, catching_up, following, held, retrying or stopped.
    pub state: &'static str,
    /// Rows that it cannot use, on the list now.
    pub quarantined: u64,
    /// Rows that it ever could not use, since the data directory began.
    pub quarantined_total: u64,
    /// What it last failed with.
    pub last_error: Option<String>,
}

/// What a Kafka sink says beside its [`SinkStatus`].
#[derive(Debug, Clone, Serialize)]
pub struct KafkaStatus {
    /// Its name.
    pub sink: String,
    /// The position of its progress record.
    pub committed: Position,
    /// Records produced since the progress began.
    pub records: u64,
    /// Bytes of keys, values and headers, since the service started.
    pub bytes: u64,
    /// Kafka transactions, since the service started.
    pub transactions: u64,
    /// When the last one was committed, microseconds since the Unix epoch.
    pub last_transaction_us: Option<i64>,
    /// Records in it.
    pub last_transaction_records: Option<u64>,
    /// From its first record to the coordinator's answer.
    pub last_transaction_ms: Option<u64>,
    /// Topics that have stopped.
    pub stopped_topics: u64,
    /// Rows of its outbox that wait for their time, or for another attempt.
    pub outbox_waiting: Option<u64>,
    /// Marks of its outbox that Postgres has not taken yet.
    pub outbox_unmarked: Option<u64>,
}

/// A captured table.
#[derive(Debug, Clone, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub table: TableName,
    /// default, nothing, full or index.
    pub replica_identity: &'static str,
    /// Rows in the standby.
    pub rows: u64,
    /// Changes applied in this epoch.
    pub inserts: u64,
    /// Changes applied in this epoch.
    pub updates: u64,
    /// Changes applied in this epoch.
    pub deletes: u64,
    /// Truncations applied in this epoch.
    pub truncates: u64,
    /// Changes that did not fit the rows held: the table changed outside the stream.
    pub misfits: u64,
}

/// Something an operator should look at.
#[derive(Debug, Clone, Serialize)]
pub struct Alarm {
    /// Its name, as docs/OPERATIONS.md lists it.
    pub alarm: &'static str,
    /// What is the matter.
    pub message: String,
}
