//! `[kafka.outbox]`: a table of events to be relayed, as typed and as checked.
//!
//! The required columns are called as Debezium's outbox router has them; those that not every table has are left out
//! unless named. What an engine calls them stands in the file, nowhere in the code.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{at_least, first_line_of, positive, refuse};
use super::units::{Bytes, Span};
use crate::model::TableName;
use crate::pg::Address;
use crate::refusal::Refusal;

/// What stands in a topic's template for the aggregate's type.
pub const TYPE_PLACE: &str = "{aggregate_type}";
/// Attempts of one row before it goes to the dead-letter topic, at most.
const ATTEMPTS_MAX: u32 = 1_000;
/// Kafka's bound on the name of a topic.
const TOPIC_BYTES_MAX: usize = 249;

/// `[kafka.outbox]` as typed.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawKafkaOutbox {
    /// `schema.table`.
    pub table: String,
    /// The topic of an event, with `{aggregate_type}` in it.
    pub topic: String,
    /// Where events go that cannot be delivered.
    pub dead_letter: String,
    /// Attempts before that.
    pub attempts_max: u32,
    /// After the first failed attempt; doubles with each.
    pub backoff_first: Span,
    /// The longest.
    pub backoff_max: Span,
    /// Waiting rows may take so much memory; beyond it their payloads are read from Postgres when they are due.
    pub parked_max: Bytes,
    /// Marks that Postgres has not taken yet; beyond it the sink waits.
    pub unmarked_max: Bytes,
    /// Where marks are written; empty for the service's own address.
    pub url: String,
    /// The password for it, in a file that only its owner may read.
    pub password_file: String,
    /// The columns' names.
    pub columns: RawOutboxColumns,
    /// Values of the status.
    pub status: RawOutboxStatus,
}

/// `[kafka.outbox.columns]`: empty is "there is none".
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "as the fields of OutboxColumns")]
pub struct RawOutboxColumns {
    pub id: String,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub event_type: String,
    pub payload: String,
    pub headers: String,
    pub available_at: String,
    pub delivered: String,
    pub status: String,
    pub published_at: String,
    pub attempts: String,
    pub last_error: String,
    pub claimed_at: String,
}

/// `[kafka.outbox.status]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "as the fields of OutboxStatus")]
pub struct RawOutboxStatus {
    pub pending: String,
    pub delivered: String,
    pub dead: String,
}

/// Never the address itself: it may hold a password.
impl std::fmt::Debug for RawKafkaOutbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawKafkaOutbox").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Default for RawKafkaOutbox {
    fn default() -> Self {
        Self {
            table: String::new(),
            topic: format!("outbox.event.{TYPE_PLACE}"),
            dead_letter: "outbox.dead_letter".into(),
            attempts_max: 5,
            backoff_first: Span(Duration::from_secs(1)),
            backoff_max: Span(Duration::from_secs(60)),
            parked_max: Bytes(64 << 20),
            unmarked_max: Bytes(64 << 20),
            url: String::new(),
            password_file: String::new(),
            columns: RawOutboxColumns::default(),
            status: RawOutboxStatus::default(),
        }
    }
}

impl Default for RawOutboxColumns {
    fn default() -> Self {
        let none = String::new;
        Self {
            id: "id".into(),
            aggregate_type: "aggregatetype".into(),
            aggregate_id: "aggregateid".into(),
            event_type: "type".into(),
            payload: "payload".into(),
            headers: none(),
            available_at: none(),
            delivered: none(),
            status: none(),
            published_at: none(),
            attempts: none(),
            last_error: none(),
            claimed_at: none(),
        }
    }
}

impl Default for RawOutboxStatus {
    fn default() -> Self {
        Self { pending: "pending".into(), delivered: "delivered".into(), dead: "dead".into() }
    }
}

/// `[kafka.outbox]`, checked.
#[derive(Debug, Clone)]
pub struct KafkaOutbox {
    /// The table.
    pub table: TableName,
    /// The topic of an event; [`TYPE_PLACE`] in it stands for the aggregate's type.
    pub topic: String,
    /// Where events go that cannot be delivered.
    pub dead_letter: String,
    /// Attempts before that.
    pub attempts_max: u32,
    /// The wait after the first failed attempt; it doubles with each.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// Bytes of waiting rows that are held.
    pub parked_bytes_max: u64,
    /// Bytes of marks that wait to be written.
    pub unmarked_bytes_max: u64,
    /// Where marks are written; `None` for the service's own address.
    pub address: Option<Address>,
    /// The columns' names.
    pub columns: OutboxColumns,
    /// Values of the status.
    pub status: OutboxStatus,
}

/// The names of an outbox's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxColumns {
    /// The primary key.
    pub id: String,
    /// Names the topic.
    pub aggregate_type: String,
    /// The record's key.
    pub aggregate_id: String,
    /// The header `eventType`.
    pub event_type: String,
    /// The record's value.
    pub payload: String,
    /// A JSON object of more headers.
    pub headers: Option<String>,
    /// `timestamptz`: not before.
    pub available_at: Option<String>,
    /// `boolean`.
    pub delivered: Option<String>,
    /// `text`: one of [`OutboxStatus`], and what others may write there.
    pub status: Option<String>,
    /// `timestamptz`: when it was delivered.
    pub published_at: Option<String>,
    /// `integer`: attempts so far.
    pub attempts: Option<String>,
    /// `text`: why the last one failed.
    pub last_error: Option<String>,
    /// `timestamptz`, written by publishers that claim rows themselves; a retry empties it.
    pub claimed_at: Option<String>,
}

impl OutboxColumns {
    /// Whether the table tells which of its rows are delivered.
    #[must_use]
    pub fn marked(&self) -> bool {
        self.delivered.is_some() || self.status.is_some()
    }

    /// All columns that are named.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let required = [&self.id, &self.aggregate_type, &self.aggregate_id, &self.event_type, &self.payload];
        let marks = [&self.delivered, &self.status, &self.published_at, &self.attempts, &self.last_error];
        let maybe = [&self.headers, &self.available_at, &self.claimed_at].into_iter().chain(marks);
        required.into_iter().chain(maybe.flatten()).map(String::as_str)
    }
}

/// Values of the status column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Not delivered yet.
    pub pending: String,
    /// Delivered.
    pub delivered: String,
    /// Given up: it is in the dead-letter topic.
    pub dead: String,
}

impl RawKafkaOutbox {
    /// Checks it; `password` is used for an address that has none. `key` names the section in refusals.
    pub fn check(&self, key: &str, password: Option<&str>) -> Result<KafkaOutbox, Refusal> {
        let of = |name: &str| format!("{key}.{name}");
        let table = TableName::parse(&self.table).ok_or_else(|| {
            refuse(&of("table"), format!("'{}' is not a table", self.table), "write schema.table, without quotes")
        })?;
        if self.attempts_max == 0 || self.attempts_max > ATTEMPTS_MAX {
            let what = format!("{} is out of range", self.attempts_max);
            return Err(refuse(&of("attempts_max"), what, &format!("write 1 to {ATTEMPTS_MAX}")));
        }
        let backoff_first = positive(&of("backoff_first"), self.backoff_first)?.0;
        if self.backoff_max.0 < backoff_first {
            return Err(refuse(&of("backoff_max"), "is less than backoff_first", "make it longer"));
        }
        topic(&of("topic"), &self.topic.replace(TYPE_PLACE, "x"))?;
        topic(&of("dead_letter"), &self.dead_letter)?;
        Ok(KafkaOutbox {
            table,
            topic: self.topic.clone(),
            dead_letter: self.dead_letter.clone(),
            attempts_max: self.attempts_max,
            backoff_first,
            backoff_max: self.backoff_max.0,
            parked_bytes_max: at_least(&of("parked_max"), self.parked_max, 1 << 20)?,
            unmarked_bytes_max: at_least(&of("unmarked_max"), self.unmarked_max, 64 << 10)?,
            address: self.address(&of("password_file"), password)?,
            columns: self.columns.check(&of("columns"))?,
            status: self.status.check(&of("status"))?,
        })
    }

    fn address(&self, key: &str, password: Option<&str>) -> Result<Option<Address>, Refusal> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let address: Address = self.url.parse()?;
        Ok(Some(match (self.password_file.as_str(), password) {
            ("", None) => address,
            ("", Some(password)) => address.or_password(password),
            (path, _) => address.or_password(&first_line_of(key, Path::new(path))?),
        }))
    }
}

impl RawOutboxColumns {
    fn check(&self, key: &str) -> Result<OutboxColumns, Refusal> {
        let named: Vec<(&str, &str)> = self.names().into_iter().filter(|(_, column)| !column.is_empty()).collect();
        for (i, (name, column)) in named.iter().enumerate() {
            if named[..i].iter().any(|(_, earlier)| earlier == column) {
                let what = format!("'{column}' is named already");
                return Err(refuse(&format!("{key}.{name}"), what, "each column has one purpose"));
            }
        }
        let required = [
            ("id", &self.id),
            ("aggregate_type", &self.aggregate_type),
            ("aggregate_id", &self.aggregate_id),
            ("event_type", &self.event_type),
            ("payload", &self.payload),
        ];
        if let Some((name, _)) = required.iter().find(|(_, column)| column.is_empty()) {
            return Err(refuse(&format!("{key}.{name}"), "is empty", "name the column of the table"));
        }
        let some = |name: &String| (!name.is_empty()).then(|| name.clone());
        Ok(OutboxColumns {
            id: self.id.clone(),
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            event_type: self.event_type.clone(),
            payload: self.payload.clone(),
            headers: some(&self.headers),
            available_at: some(&self.available_at),
            delivered: some(&self.delivered),
            status: some(&self.status),
            published_at: some(&self.published_at),
            attempts: some(&self.attempts),
            last_error: some(&self.last_error),
            claimed_at: some(&self.claimed_at),
        })
    }

    fn names(&self) -> [(&'static str, &str); 13] {
        [
            ("id", &self.id),
            ("aggregate_type", &self.aggregate_type),
            ("aggregate_id", &self.aggregate_id),
            ("event_type", &self.event_type),
            ("payload", &self.payload),
            ("headers", &self.headers),
            ("available_at", &self.available_at),
            ("delivered", &self.delivered),
            ("status", &self.status),
            ("published_at", &self.published_at),
            ("attempts", &self.attempts),
            ("last_error", &self.last_error),
            ("claimed_at", &self.claimed_at),
        ]
    }
}

impl RawOutboxStatus {
    fn check(&self, key: &str) -> Result<OutboxStatus, Refusal> {
        let values = [&self.pending, &self.delivered, &self.dead];
        let distinct = values[0] != values[1] && values[1] != values[2] && values[0] != values[2];
        if !distinct || values.iter().any(|value| value.is_empty()) {
            return Err(refuse(
                key,
                "two values are equal, or one is empty",
                "pending, delivered and dead must differ",
            ));
        }
        Ok(OutboxStatus { pending: self.pending.clone(), delivered: self.delivered.clone(), dead: self.dead.clone() })
    }
}

/// A name that Kafka allows.
fn topic(key: &str, name: &str) -> Result<(), Refusal> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > TOPIC_BYTES_MAX || [".", ".."].contains(&name) || !name.bytes().all(fits) {
        let hint = format!("use A-Z, a-z, 0-9, '.', '_' and '-', and {TYPE_PLACE} where the aggregate's type belongs");
        return Err(refuse(key, format!("'{name}' is not the name of a topic"), &hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KafkaOutbox, Refusal> {
        toml::from_str::<RawKafkaOutbox>(text).unwrap().check("kafka.outbox", None)
    }

    #[test]
    fn a_table_alone_is_an_outbox_of_debeziums() {
        let outbox = parse("table = 'shop.outbox'").unwrap();
        assert_eq!((outbox.columns.aggregate_id.as_str(), outbox.columns.marked()), ("aggregateid", false));
        assert_eq!(outbox.topic, "outbox.event.{aggregate_type}");
        assert_eq!(outbox.attempts_max, 5);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        let check = |text: &str, want: &str| {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(want) && !said.contains("hush"), "{text}: {said}");
        };
        check("", "kafka.outbox.table");
        check("table = 's.t'\nattempts_max = 0", "kafka.outbox.attempts_max");
        check("table = 's.t'\nbackoff_max = '1 ms'", "kafka.outbox.backoff_max");
        check("table = 's.t'\ntopic = 'a b'", "kafka.outbox.topic");
        check("table = 's.t'\ndead_letter = ''", "kafka.outbox.dead_letter");
        check("table = 's.t'\nparked_max = '1 B'", "kafka.outbox.parked_max");
        check("table = 's.t'\n[columns]\nid = ''", "kafka.outbox.columns.id");
        check("table = 's.t'\n[columns]\nstatus = 'payload'", "kafka.outbox.columns.status");
        check("table = 's.t'\n[status]\ndead = 'pending'", "kafka.outbox.status");
        check("table = 's.t'\nurl = 'postgres://a:hush@h/d?sslmode=allow'", "sslmode");
        check("table = 's.t'\nurl = 'postgres://a@h/d'\npassword_file = '/none'", "kafka.outbox.password_file");
        assert!(toml::from_str::<RawKafkaOutbox>("tabel = 's.t'").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let raw: RawKafkaOutbox = toml::from_str("table = 's.t'\nurl = 'postgres://a:hush@h/d'").unwrap();
        let checked = raw.check("kafka.outbox", None).unwrap();
        assert!(!format!("{raw:?} {checked:?}").contains("hush"));
    }
}
