//! Which tables go where, and in which form.

use std::sync::Arc;
use std::time::Duration;

use super::emptied::RowsBefore;
use super::mask::Mask;
use crate::model::{Pattern, Relation, TableName};
use crate::sinks::kafka::json::Modes;
use crate::sinks::kafka::registry;
use crate::sinks::kafka::topic::Template;

/// pgtape's own tables are in this schema.
const OWN_SCHEMA: &str = "pgtape";

/// What the feed of changes is built with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `source.name`, and the beginning of topic names.
    pub prefix: String,
    /// `source.version`.
    pub version: String,
    /// `source.db`.
    pub database: String,
    /// Names of tables' topics.
    pub topic: Template,
    /// Appended to the names of all topics.
    pub suffix: String,
    /// Tables to produce, of those that are captured.
    pub tables: Vec<Pattern>,
    /// Tables to leave out of those.
    pub excluded: Vec<Pattern>,
    /// What is different for some tables; the first that matches counts.
    pub special: Vec<Special>,
    /// The secret that masked values are hashed with.
    pub mask_secret: Secret,
    /// The form of keys and values.
    pub format: Format,
    /// The form of columns' values.
    pub modes: Modes,
    /// What becomes of a TRUNCATE, and of the rows that a new copy replaces.
    pub truncate: Truncate,
    /// Whether a delete is followed by a tombstone.
    pub tombstones: bool,
    /// Whether logical messages are produced.
    pub messages: bool,
    /// Whether records tell their transaction, and begins and ends have a topic.
    pub transactions: bool,
    /// How often a heartbeat is produced; `None` for never.
    pub heartbeat_every: Option<Duration>,
    /// Whether a table must send whole old rows (REPLICA IDENTITY FULL), as who consumes its changes needs them.
    pub whole_rows: bool,
    /// What becomes of a record that cannot be produced.
    pub unfit: Unfitting,
    /// Where it goes, if it goes anywhere.
    pub quarantine_topic: String,
    /// Tells the time, microseconds since the Unix epoch.
    pub clock: fn() -> i64,
    /// Finds the rows that a table held, for [`Truncate::Deletes`].
    pub rows_before: Option<Arc<dyn RowsBefore>>,
}

/// A secret: never shown.
#[derive(Clone, Default)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What is different for some tables.
#[derive(Debug, Clone)]
pub struct Special {
    /// The tables.
    pub tables: Pattern,
    /// The name of their topic.
    pub topic: Option<Template>,
    /// The columns of the key, instead of the primary key's.
    pub key: Option<Vec<String>>,
    /// Columns that are not to be seen.
    pub masks: Vec<(String, Mask)>,
}

impl Special {
    /// A masked column that the table does not have: mistyped, or renamed since. A pattern of several tables may name
    /// columns that only some of them have.
    #[must_use]
    pub fn unknown_mask(&self, relation: &Relation) -> Option<&str> {
        let unknown = |(column, _): &&(String, Mask)| self.tables.is_literal() && relation.column(column).is_none();
        self.masks.iter().find(unknown).map(|(column, _)| column.as_str())
    }
}

/// The form of keys and values.
#[derive(Debug, Clone, Default)]
pub enum Format {
    /// Debezium's envelope as JSON.
    #[default]
    Json,
    /// The same, and beside each key and value its schema, as Kafka Connect's converter writes it.
    JsonWithSchemas,
    /// The row itself as JSON, with the kind of change beside its columns.
    Plain,
    /// Debezium's envelope as Avro, its schemas in this registry.
    Avro(registry::Settings),
}

/// What becomes of a TRUNCATE, and of the rows that a new copy replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncate {
    /// A record `t`.
    #[default]
    Event,
    /// A delete of each row.
    Deletes,
    /// Nothing.
    Skip,
    /// Nothing more is produced to that topic.
    Stop,
}

/// What becomes of a record that cannot be produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfitting {
    /// Its place and the reason go to the topic of quarantine, and the stream goes on.
    #[default]
    Quarantine,
    /// Nothing more is produced to that topic.
    Stop,
}

impl Settings {
    /// Whether the table is produced.
    #[must_use]
    pub fn includes(&self, table: &TableName) -> bool {
        &*table.schema != OWN_SCHEMA
            && self.tables.iter().any(|pattern| pattern.matches(table))
            && !self.excluded.iter().any(|pattern| pattern.matches(table))
    }

    /// What is different for the table.
    #[must_use]
    pub fn special(&self, table: &TableName) -> Option<&Special> {
        self.special.iter().find(|special| special.tables.matches(table))
    }

    /// Whether the topic of a table is meant to be its own: its template names the table.
    #[must_use]
    pub fn names_table(&self, table: &TableName) -> bool {
        let own = self.special(table).and_then(|special| special.topic.as_ref());
        own.unwrap_or(&self.topic).names_table()
    }

    /// The topic of a table.
    #[must_use]
    pub fn topic_of(&self, table: &TableName) -> String {
        let own = self.special(table).and_then(|special| special.topic.as_ref());
        own.unwrap_or(&self.topic).name(&self.prefix, table) + &self.suffix
    }
}
