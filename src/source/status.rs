//! What the source says of itself, for `/v1/status`, metrics and the readiness check.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Identity, Lsn, TableName};

/// What the source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Speaking to the server, not streaming yet.
    #[default]
    Connecting,
    /// The first copy is running.
    Copying,
    /// Streaming.
    Streaming,
    /// Some tables are copied again at one position; streaming goes on after it.
    Refreshing,
    /// The connection was lost; trying again.
    Reconnecting,
    /// Ended, on request or with an error.
    Stopped,
}

impl State {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Copying => "copying",
            State::Streaming => "streaming",
            State::Refreshing => "refreshing",
            State::Reconnecting => "reconnecting",
            State::Stopped => "stopped",
        }
    }
}

/// The slot as `pg_replication_slots` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotStatus {
    /// Whether a connection uses it.
    pub active: bool,
    /// What pgtape has confirmed: commits up to here are durable on the tape.
    pub confirmed: Lsn,
    /// The server keeps WAL from here.
    pub restart: Lsn,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// WAL the server keeps for the slot, bytes.
    pub retained_bytes: u64,
}

/// A captured table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub table: TableName,
    /// What the server sends of its old rows.
    pub identity: Identity,
}

/// The source at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceStatus {
    /// What it is doing.
    pub state: State,
    /// The cluster's system identifier.
    pub system_id: u64,
    /// The server's version, as `SHOW server_version` says it.
    pub server_version: String,
    /// The server's timeline.
    pub timeline: u32,
    /// The slot when last asked; `None` before the first answer.
    pub slot: Option<SlotStatus>,
    /// The server's flush LSN when last asked.
    pub server_end: Lsn,
    /// End of the newest unit or idle position received.
    pub received: Lsn,
    /// End of what is fsynced on the tape.
    pub durable: Lsn,
    /// The captured tables.
    pub tables: Vec<TableStatus>,
    /// Rows copied so far while `Copying` or `Refreshing`.
    pub copied_rows: u64,
    /// Transactions appended since the start.
    pub transactions: u64,
    /// Connections made again since the start.
    pub reconnects: u64,
    /// Standing warnings: unlimited WAL retention, a server whose commits wait for us.
    pub alarms: Vec<String>,
    /// Standing warnings of tables: one whose updates fail, one that should be captured and is not.
    pub table_alarms: Vec<String>,
    /// Why the last connection ended.
    pub last_error: Option<String>,
}

impl SourceStatus {
    /// Bytes of WAL between the server's end and what is durable here.
    #[must_use]
    pub const fn lag_bytes(&self) -> u64 {
        self.server_end.bytes_since(self.durable)
    }
}

/// The status, shared: the source changes it, everybody reads it.
#[derive(Debug, Clone)]
pub struct StatusHandle(Arc<watch::Sender<SourceStatus>>);

impl Default for StatusHandle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(SourceStatus::default())))
    }
}

impl StatusHandle {
    /// The status now.
    #[must_use]
    pub fn get(&self) -> SourceStatus {
        self.0.borrow().clone()
    }

    /// A receiver that wakes at changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<SourceStatus> {
        self.0.subscribe()
    }

    /// Changes the status.
    pub(super) fn update(&self, change: impl FnOnce(&mut SourceStatus)) {
        self.0.send_modify(change);
    }
}
