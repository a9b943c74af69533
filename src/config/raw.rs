//! The configuration as typed: one struct a section of the file, every key with its default, unknown keys refused.
//!
//! Nothing is checked here beyond types and units; `check` makes a [`super::Config`] of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{Bytes, Span};

/// The whole file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    pub data_dir: String,
    pub sinks: Vec<String>,
    pub drain: Span,
    pub postgres: Postgres,
    pub source: Source,
    pub tape: Tape,
    pub standby: Standby,
    pub rollups: Rollups,
    pub kafka: Vec<super::kafka::raw::Kafka>,
    pub http: Http,
    pub log: Log,
}

/// `[postgres]`
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postgres {
    pub url: String,
    pub password_file: String,
}

/// Never the address itself: it may hold a password.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// `[source]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    pub slot: String,
    pub publication: String,
    pub tables: Vec<String>,
    pub status_interval: Span,
    pub frozen_after: Span,
    pub heartbeat_every: Span,
    pub decoding_memory: Bytes,
    pub copy_jobs: u32,
}

/// `[tape]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tape {
    pub dir: String,
    pub segment_bytes: Bytes,
    pub fsync_every: Span,
    pub compress: bool,
    pub history: Span,
    pub budget_bytes: Bytes,
    pub reserve_bytes: Bytes,
}

/// `[standby]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Standby {
    pub memory_max: Bytes,
    pub checkpoint_every: Span,
    pub indexes: Vec<String>,
    pub books: Vec<Book>,
}

/// `[[standby.books]]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    pub engine: String,
    pub table: String,
    pub market: Vec<String>,
    pub side: String,
    pub bid: Vec<String>,
    pub ask: Vec<String>,
    pub price: String,
    pub quantity: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub resting: Vec<String>,
}

/// `[rollups]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollups {
    pub names: Vec<String>,
    pub flush_every: Span,
    pub memory_max: Bytes,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: String,
    pub listen_anywhere: bool,
    pub requests_max: u32,
    pub snapshots_max: u32,
    pub request_timeout: Span,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: String,
    pub level: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            data_dir: "./pgtape-data".into(),
            sinks: vec!["standby".into(), "rollup".into(), "kafka".into()],
            drain: seconds(5),
            postgres: Postgres::default(),
            source: Source::default(),
            tape: Tape::default(),
            standby: Standby::default(),
            rollups: Rollups::default(),
            kafka: Vec::new(),
            http: Http::default(),
            log: Log::default(),
        }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self {
            slot: "pgtape".into(),
            publication: "pgtape".into(),
            tables: Vec::new(),
            status_interval: seconds(1),
            frozen_after: seconds(30),
            heartbeat_every: seconds(10),
            decoding_memory: Bytes(256 << 20),
            copy_jobs: 2,
        }
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            dir: "tape".into(),
            segment_bytes: Bytes(64 << 20),
            fsync_every: Span(Duration::from_millis(10)),
            compress: true,
            history: seconds(24 * 3600),
            budget_bytes: Bytes(16 << 30),
            reserve_bytes: Bytes(16 << 20),
        }
    }
}

impl Default for Standby {
    fn default() -> Self {
        Self { memory_max: Bytes(2 << 30), checkpoint_every: seconds(60), indexes: Vec::new(), books: Vec::new() }
    }
}

impl Default for Rollups {
    fn default() -> Self {
        Self { names: Vec::new(), flush_every: Span(Duration::from_millis(100)), memory_max: Bytes(64 << 20) }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7654".into(),
            listen_anywhere: false,
            requests_max: 64,
            snapshots_max: 4,
            request_timeout: seconds(30),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "text".into(), level: "info".into() }
    }
}

const fn seconds(n: u64) -> Span {
    Span(Duration::from_secs(n))
}
