//! What a Kafka sink is built with, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{changes, outbox};

/// One Kafka sink.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in configuration, status, metrics and commands.
    pub name: String,
    /// Names it in Kafka: the transactional id and the key of its progress record. Two with one id fence each other.
    pub id: String,
    /// The brokers, and how to talk to them.
    pub link: Link,
    /// What a failure may cost.
    pub delivery: Delivery,
    /// Where it begins when it has no progress yet.
    pub initial: Initial,
    /// The topic of progress records: one partition, compacted; sinks may share it.
    pub progress_topic: String,
    /// How much goes into one Kafka transaction.
    pub bounds: Bounds,
    /// Larger records (key, value, headers) are put into quarantine, bytes.
    pub message_bytes_max: usize,
    /// What topics that do not exist are made with; `None`: they must exist.
    pub create: Option<NewTopics>,
    /// What it produces.
    pub feed: FeedSettings,
    /// Where the files of this sink are.
    pub state_dir: PathBuf,
}

/// What a sink produces.
#[derive(Debug, Clone)]
pub enum FeedSettings {
    /// The changes of tables.
    Changes(Box<changes::Settings>),
    /// The events of an outbox.
    Outbox(outbox::Setup),
}

impl FeedSettings {
    /// The outbox, if it is one.
    #[must_use]
    pub fn outbox(&self) -> Option<&outbox::Setup> {
        match self {
            FeedSettings::Outbox(outbox) => Some(outbox),
            FeedSettings::Changes(_) => None,
        }
    }

    /// Whether the rows that a table held may be needed.
    #[must_use]
    pub fn needs_rows(&self) -> bool {
        match self {
            FeedSettings::Changes(changes) => changes.rows_before.is_some(),
            FeedSettings::Outbox(_) => false,
        }
    }
}

/// The brokers, and how to talk to them.
#[derive(Clone, Default)]
pub struct Link {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// Properties of librdkafka, later ones win: security, and what the configuration adds. May hold secrets.
    pub properties: Vec<(String, String)>,
}

impl fmt::Debug for Link {
    /// Without the properties: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// What a failure may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Nothing: records and progress are one Kafka transaction.
    #[default]
    ExactlyOnce,
    /// Repeats of what was produced after the last progress record: for brokers without transactions.
    AtLeastOnce,
}

/// Where a sink begins that has no progress yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Initial {
    /// The rows of its tables at one position, then everything after it.
    #[default]
    Copy,
    /// The oldest transaction that the tape holds.
    Earliest,
    /// What is committed from now on.
    Now,
}

/// How much goes into one Kafka transaction. Source transactions are not split, but for one that alone is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records_max: u64,
    /// Bytes of keys, values and headers.
    pub bytes_max: u64,
    /// Time since its first record, while more is coming.
    pub age_max: Duration,
    /// Time from a commit to the next transaction's first record: what comes meanwhile is gathered. Of no effect without
    /// transactions.
    pub linger: Duration,
    /// The coordinator ends a transaction that is open for longer.
    pub timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            records_max: 100_000,
            bytes_max: 64 << 20,
            age_max: Duration::from_secs(1),
            linger: Duration::from_millis(5),
            timeout: Duration::from_secs(60),
        }
    }
}

/// What topics are made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopics {
    /// Partitions; `None` for the broker's default.
    pub partitions: Option<i32>,
    /// Replicas of each; `None` for the broker's default.
    pub replication: Option<i32>,
    /// Configs, as `retention.ms`.
    pub configs: Vec<(String, String)>,
}
