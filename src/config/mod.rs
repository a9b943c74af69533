//! The configuration: read once, as typed (`raw`), then as checked ([`Config`]); what it does not know is refused.
//!
//! Invariant: the environment is read here and nowhere else. Knows the names of things, not whether they exist: that is
//! asked of the server, later.

mod check;
pub mod kafka;
mod kafka_outbox;
mod overrides;
mod raw;
mod units;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{Pattern, TableName};
use crate::pg::Address;
use crate::refusal::{Kind, Refusal};

pub use kafka_outbox::{KafkaOutbox, OutboxColumns, OutboxStatus, RawKafkaOutbox, TYPE_PLACE};
pub use overrides::{Environment, Overrides, arguments, this_program};
pub use units::{Bytes, Span};

/// Where to look when a file cannot be parsed.
const HINT: &str = "every key is described in config/pgtape.toml, those of [[kafka]] in config/kafka.toml; \
     durations and sizes are texts (\"5 ms\", \"64 MiB\"), a Kafka sink is [[kafka]] with two brackets";
/// What is used when neither a file nor tables are named.
const BUILT_IN: &str = include_str!("../../config/pgtape.toml");

/// The configuration of one pgtape, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of everything that must survive: tape, checkpoints, quarantine. Mode 0700.
    pub data_dir: PathBuf,
    /// The sinks to feed; empty for the tape alone.
    pub sinks: Vec<SinkName>,
    /// A stop may take this long.
    pub drain: Duration,
    /// The server, if one is named: `tape info` needs none.
    pub postgres: Option<Address>,
    /// Slot, publication, tables.
    pub source: Source,
    /// The log.
    pub tape: Tape,
    /// The tables in memory.
    pub standby: Standby,
    /// The aggregates in Postgres.
    pub rollups: Rollups,
    /// The Kafka sinks.
    pub kafka: Vec<kafka::Kafka>,
    /// The HTTP service.
    pub http: Http,
    /// What is said on stderr.
    pub log: Log,
    /// Whether `--listen` or `PGTAPE_LISTEN` named the address of HTTP: commands then ask there and nowhere else.
    pub listen_named: bool,
}

/// A consumer of the tape that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkName {
    /// Tables and books in memory.
    Standby,
    /// Aggregates in Postgres.
    Rollup,
    /// Topics in Kafka, as `[[kafka]]` says.
    Kafka,
}

impl SinkName {
    /// The name as configured, in metrics and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SinkName::Standby => "standby",
            SinkName::Rollup => "rollup",
            SinkName::Kafka => "kafka",
        }
    }
}

/// `[source]`, checked.
#[derive(Debug, Clone)]
pub struct Source {
    /// The replication slot.
    pub slot: String,
    /// The publication.
    pub publication: String,
    /// What to capture; empty when none was named.
    pub tables: Vec<Pattern>,
    /// The slot is told what is durable at least this often.
    pub status_interval: Duration,
    /// A server silent for this long is given up, and connected to again.
    pub frozen_after: Duration,
    /// The heartbeat row is written this often, where it exists.
    pub heartbeat_every: Duration,
    /// `logical_decoding_work_mem` asked of the walsender, in bytes.
    pub decoding_memory_bytes: u64,
    /// Tables copied at the same time.
    pub copy_jobs: usize,
}

/// `[tape]`, checked.
#[derive(Debug, Clone)]
pub struct Tape {
    /// Where the segments are.
    pub dir: PathBuf,
    /// A segment is closed at this size.
    pub segment_bytes: u64,
    /// Commits are gathered for this long before one fsync.
    pub fsync_every: Duration,
    /// Whether frames are compressed where it pays.
    pub compress: bool,
    /// Sealed segments are kept at least this long.
    pub history: Duration,
    /// History is shortened beyond this size; `None` for no bound.
    pub budget_bytes: Option<u64>,
    /// Kept aside so that a checkpoint can still be written on a full disk.
    pub reserve_bytes: u64,
}

/// `[standby]`, checked.
#[derive(Debug, Clone)]
pub struct Standby {
    /// A first copy that would not fit is refused.
    pub memory_max_bytes: u64,
    /// How often the tables are written to a file, so that a restart need not copy again.
    pub checkpoint_every: Duration,
    /// Columns to find rows by, beside the keys.
    pub indexes: Vec<Index>,
    /// Order books to keep.
    pub books: Vec<Book>,
}

/// Columns of one table that rows are found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The table.
    pub table: TableName,
    /// The columns, in order.
    pub columns: Vec<String>,
}

/// An order book kept from the resting orders of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The name in `/v1/books/{engine}/{market}`.
    pub engine: String,
    /// The table of orders.
    pub table: TableName,
    /// The columns that name the market, joined by `:` when there are several.
    pub market: Vec<String>,
    /// The column of the side.
    pub side: String,
    /// Values of the side that mean a bid.
    pub bid: Vec<String>,
    /// Values of the side that mean an ask.
    pub ask: Vec<String>,
    /// The column of the price.
    pub price: String,
    /// The column of what is still to be filled.
    pub quantity: String,
    /// The column of the state and its values of a resting order; `None` when every row rests.
    pub resting: Option<(String, Vec<String>)>,
}

/// `[rollups]`, checked.
#[derive(Debug, Clone)]
pub struct Rollups {
    /// The roll-ups to keep, by the name of their target.
    pub names: Vec<String>,
    /// Deltas are gathered for this long before one transaction.
    pub flush_every: Duration,
    /// Deltas are gathered up to this size.
    pub memory_max_bytes: u64,
}

/// `[http]`, checked.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where to listen, and where commands ask the running service.
    pub listen: SocketAddr,
    /// Requests answered at the same time; more get 503.
    pub requests_max: usize,
    /// Snapshots streamed at the same time; more get 503.
    pub snapshots_max: usize,
    /// An answer (its head, for a streamed one) may take this long.
    pub request_timeout: Duration,
}

/// `[log]`, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON lines.
    pub format: LogFormat,
    /// The least important level that is said.
    pub level: tracing::Level,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

impl Config {
    /// Reads the file if one is named, lays flags and environment over it, and checks the whole. With neither a file nor
    /// tables it is the configuration of the five engines.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Config, Refusal> {
        let tables_named = overrides.tables.as_deref().is_some_and(|list| !list.is_empty());
        let mut raw = match overrides.config.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => read(path)?,
            None if tables_named => raw::Raw::default(),
            None => parse(BUILT_IN, "config/pgtape.toml")?,
        };
        check::lay_over(&mut raw, overrides, environment)?;
        let mut config = check::check(raw, environment)?;
        config.listen_named = overrides.listen.iter().any(|address| !address.is_empty());
        Ok(config)
    }

    /// Reads a configuration that is built in, called `name`, with nothing laid over it.
    pub fn from_text(text: &str, name: &str) -> Result<Config, Refusal> {
        check::check(parse(text, name)?, &Environment::default())
    }

    /// The server's address, for commands that cannot do without.
    pub fn address(&self) -> Result<&Address, Refusal> {
        self.postgres.as_ref().ok_or_else(|| {
            Refusal::new(
                Kind::Usage,
                "no Postgres is named",
                "pass --url, set PGTAPE_URL, or name a file with --config",
            )
        })
    }

    /// The tables to capture, for commands that cannot do without.
    pub fn tables(&self) -> Result<&[Pattern], Refusal> {
        if self.source.tables.is_empty() {
            let hint = "pass --tables 'schema.*,schema.table', or name a file with --config";
            return Err(Refusal::new(Kind::Usage, "no tables are named", hint));
        }
        Ok(&self.source.tables)
    }

    /// Whether a pattern names the table.
    #[must_use]
    pub fn captures(&self, table: &TableName) -> bool {
        self.source.tables.iter().any(|pattern| pattern.matches(table))
    }

    /// Whether the sink is switched on.
    #[must_use]
    pub fn has_sink(&self, sink: SinkName) -> bool {
        self.sinks.contains(&sink)
    }
}

fn read(path: &Path) -> Result<raw::Raw, Refusal> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let what = format!("the configuration {} cannot be read: {e}", path.display());
        Refusal::new(Kind::Usage, what, "check the path and its permissions")
    })?;
    parse(&text, &path.display().to_string())
}

/// Parses the text of a file called `name`.
fn parse(text: &str, name: &str) -> Result<raw::Raw, Refusal> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(String::new(), |s| format!(":{}", 1 + text[..s.start].matches('\n').count()));
        // The message alone: the error's own text would quote the line, which may hold a password.
        let message = e.message().lines().collect::<Vec<_>>().join(" ");
        Refusal::new(Kind::Usage, format!("{name}{line}: {message}"), HINT)
    })
}
