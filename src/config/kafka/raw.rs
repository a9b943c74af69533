//! `[[kafka]]` as typed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::RawKafkaOutbox;
use crate::config::units::{Bytes, Span};

/// `[[kafka]]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    pub name: String,
    pub brokers: String,
    pub topic_prefix: String,
    pub profile: String,
    pub topic: String,
    pub tables: Vec<String>,
    pub exclude: Vec<String>,
    pub initial: String,
    pub delivery: String,
    pub progress_topic: String,
    pub quarantine_topic: String,
    pub format: Option<String>,
    pub schemas: Option<bool>,
    pub compat: Option<String>,
    pub decimals: Option<String>,
    pub times: Option<String>,
    pub intervals: Option<String>,
    pub truncate: Option<String>,
    pub tombstones: Option<bool>,
    pub messages: Option<bool>,
    pub transactions: Option<bool>,
    pub unfit: String,
    pub heartbeat_every: Span,
    pub message_max: Bytes,
    pub transaction_records: u32,
    pub transaction_bytes: Bytes,
    pub transaction_age: Span,
    pub transaction_timeout: Span,
    pub linger: Span,
    pub mask_secret_file: String,
    pub topics: Topics,
    pub security: Security,
    pub registry: Registry,
    pub properties: BTreeMap<String, String>,
    pub table: Vec<Table>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<RawKafkaOutbox>,
}

/// `[kafka.topics]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topics {
    pub create: bool,
    pub partitions: u32,
    pub replication: u32,
    pub configs: BTreeMap<String, String>,
}

/// `[kafka.security]`
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    pub tls: bool,
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub key_password_file: String,
    pub verify_host: Option<bool>,
    pub sasl: String,
    pub user: String,
    pub password_file: String,
}

/// Never the user: who reads a log need not know.
impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("tls", &self.tls).field("sasl", &self.sasl).finish_non_exhaustive()
    }
}

/// `[kafka.registry]`
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    pub url: String,
    pub user: String,
    pub password_file: String,
    pub ca_file: String,
    pub timeout: Span,
}

/// Without the URL, which might hold a password, and the user.
impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        let timeout = Span(Duration::from_secs(5));
        Self { url: String::new(), user: String::new(), password_file: String::new(), ca_file: String::new(), timeout }
    }
}

/// `[[kafka.table]]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    pub tables: String,
    pub topic: String,
    pub key: Vec<String>,
    pub mask: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            name: "kafka".into(),
            brokers: String::new(),
            topic_prefix: String::new(),
            profile: String::new(),
            topic: "{prefix}.{schema}.{table}".into(),
            tables: vec!["*.*".into()],
            exclude: Vec::new(),
            initial: "copy".into(),
            delivery: "exactly-once".into(),
            progress_topic: "pgtape.progress".into(),
            quarantine_topic: String::new(),
            format: None,
            schemas: None,
            compat: None,
            decimals: None,
            times: None,
            intervals: None,
            truncate: None,
            tombstones: None,
            messages: None,
            transactions: None,
            unfit: "quarantine".into(),
            heartbeat_every: Span(Duration::ZERO),
            message_max: Bytes(1_000_000),
            transaction_records: 100_000,
            transaction_bytes: Bytes(64 << 20),
            transaction_age: Span(Duration::from_secs(1)),
            transaction_timeout: Span(Duration::from_secs(60)),
            linger: Span(Duration::from_millis(5)),
            mask_secret_file: String::new(),
            topics: Topics::default(),
            security: Security::default(),
            registry: Registry::default(),
            properties: BTreeMap::new(),
            table: Vec::new(),
            outbox: None,
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self { create: true, partitions: 0, replication: 0, configs: BTreeMap::new() }
    }
}
