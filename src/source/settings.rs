//! What the source is told by configuration, checked already.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Pattern, TableName};
use crate::pg::Address;

/// How and what to read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub address: Address,
    /// The replication slot.
    pub slot: String,
    /// The publication.
    pub publication: String,
    /// The tables; each pattern must match something.
    pub tables: Vec<Pattern>,
    /// Never captured by a `*`: targets of roll-ups. Naming one of them is refused.
    pub excluded: Vec<TableName>,
    /// Where the source keeps the newest heartbeat it has seen: the data directory.
    pub state_dir: PathBuf,
    /// Commits are gathered for this long before one fsync.
    pub fsync_every: Duration,
    /// The slot is told at least this often what is durable.
    pub status_interval: Duration,
    /// A server that is silent for this long is given up.
    pub frozen_after: Duration,
    /// The heartbeat row is written this often while captured tables change.
    pub heartbeat_every: Duration,
    /// `logical_decoding_work_mem` of the walsender, bytes.
    pub decoding_memory_bytes: u64,
    /// Tables copied at the same time.
    pub copy_jobs: usize,
}

impl Settings {
    /// The defaults of `config/pgtape.toml` for everything but server, tables and state directory.
    #[must_use]
    pub fn new(address: Address, tables: Vec<Pattern>, state_dir: PathBuf) -> Self {
        Self {
            address,
            slot: "pgtape".into(),
            publication: "pgtape".into(),
            tables,
            excluded: Vec::new(),
            state_dir,
            fsync_every: Duration::from_millis(10),
            status_interval: Duration::from_secs(1),
            frozen_after: Duration::from_secs(30),
            heartbeat_every: Duration::from_secs(10),
            decoding_memory_bytes: 256 << 20,
            copy_jobs: 2,
        }
    }
}
