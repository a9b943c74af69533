//! The proof of the topics: what another program reads from Kafka, against the tape and against Postgres.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::cast::Cast;
use crate::model::{Position, TableName};
use crate::pg;
use crate::pgoutput::{Message, Relations, decode};
use crate::sandbox::{Error, Record};
use crate::tape::{self, Entry, Kind, Reader, Watermark};

/// pgtape's own tables have no topics.
const OWN_SCHEMA: &str = "pgtape";

/// What was found.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Topics {
    /// Records of tables that a consumer with isolation level read_committed got.
    pub records: u64,
    /// Records that it got more than once: same topic, position and part.
    pub duplicates: u64,
    /// Changes on the tape that it did not get.
    pub missing: u64,
    /// Whether the keys that are left, after all changes, are those of the tables in Postgres.
    pub keys_equal: bool,
}

impl Topics {
    /// Nothing twice, nothing lost.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.duplicates == 0 && self.missing == 0 && self.keys_equal
    }
}

/// Reads every topic; the service has ended.
pub(super) fn prove(cast: &Cast, broker: &Broker) -> Result<Topics, Error> {
    let (reader, prefix) = (broker.reader(), broker.prefix());
    let expected = expected(cast)?;
    let mut found = Topics { records: 0, duplicates: 0, missing: 0, keys_equal: true };
    let there = reader.topics()?;
    for (table, positions) in &expected {
        let topic = format!("{prefix}.{table}");
        let records = if there.contains(&topic) { reader.read(&topic)? } else { Vec::new() };
        let mut seen: HashMap<(String, String), u64> = HashMap::new();
        for record in &records {
            let place = (header(record, "pgtape.position"), header(record, "pgtape.part"));
            *seen.entry(place).or_default() += 1;
        }
        found.records += records.len() as u64;
        found.duplicates += seen.values().map(|times| times - 1).sum::<u64>();
        let got: BTreeSet<&str> = seen.keys().map(|(position, _)| position.as_str()).collect();
        found.missing += positions.iter().filter(|position| !got.contains(position.as_str())).count() as u64;
        found.keys_equal &= keys_left(&records) == keys_in_postgres(cast, table)?;
    }
    Ok(found)
}

fn header(record: &Record, name: &str) -> String {
    let value = record.headers.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
    String::from_utf8(value.unwrap_or_default()).unwrap_or_default()
}

/// The positions of all changes on the tape, by table.
fn expected(cast: &Cast) -> Result<BTreeMap<TableName, BTreeSet<String>>, Error> {
    let failed = |error: tape::Error| Error::Refused(error.into_refusal());
    let dir = cast.service.service().data_dir.join("tape");
    let oldest = tape::usage(&dir).map_err(failed)?.oldest;
    let watermark = Watermark::scan(&dir).map_err(failed)?;
    let mut reader = Reader::open(&dir, Position::whole(oldest), watermark).map_err(failed)?;
    let (mut relations, mut expected) = (Relations::default(), BTreeMap::new());
    while let Some(entry) = reader.next().map_err(failed)? {
        match entry {
            Entry::Preamble(mut messages) => {
                while let Some((_, raw)) = messages.next_message().map_err(failed)? {
                    note(raw, Position::ZERO, &mut relations, &mut expected);
                }
            }
            Entry::Transaction(mut unit) if unit.head().kind != Kind::Message => {
                let (end, mut op) = (unit.head().end_lsn, 0);
                while let Some((_, raw)) = unit.next_message().map_err(failed)? {
                    op += note(raw, Position::at(end, op), &mut relations, &mut expected);
                }
            }
            Entry::Transaction(_) | Entry::Progress(_) | Entry::Gap(_) => {}
        }
    }
    Ok(expected)
}

/// Notes a change of a row; returns how many positions the message takes.
fn note(
    raw: &[u8],
    at: Position,
    relations: &mut Relations,
    expected: &mut BTreeMap<TableName, BTreeSet<String>>,
) -> u64 {
    let Ok(message) = decode(raw) else { return 0 };
    match &message {
        Message::Relation(announced) => {
            relations.learn(announced);
        }
        Message::Insert { relation_id, .. }
        | Message::Update { relation_id, .. }
        | Message::Delete { relation_id, .. } => {
            let table = relations.get(*relation_id).map(|relation| relation.table.clone());
            if let Some(table) = table.filter(|table| &*table.schema != OWN_SCHEMA) {
                expected.entry(table).or_default().insert(at.to_string());
            }
        }
        _ => {}
    }
    message.ops()
}

/// The keys whose last record is not a delete. Each key has one partition, whose order is that of its offsets.
fn keys_left(records: &[Record]) -> BTreeSet<String> {
    let mut left = BTreeMap::new();
    for record in records {
        let Some(key) = record.key.as_deref().and_then(|key| serde_json::from_slice::<Value>(key).ok()) else {
            continue;
        };
        let value = record.value.as_deref().and_then(|value| serde_json::from_slice::<Value>(value).ok());
        let alive = value.is_some_and(|value| !value["after"].is_null());
        let parts = key.as_object().map(|object| object.values().map(plain).collect::<Vec<_>>().join("|"));
        left.insert(parts.unwrap_or_default(), alive);
    }
    left.into_iter().filter_map(|(key, alive)| alive.then_some(key)).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The keys of a table as the topics write them; times as text in UTC.
fn keys_in_postgres(cast: &Cast, table: &TableName) -> Result<BTreeSet<String>, Error> {
    let columns = format!(
        "SELECT string_agg(CASE WHEN a.atttypid = 'timestamptz'::regtype THEN
             format('to_char(%I AT TIME ZONE ''UTC'', ''YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'')', a.attname)
             WHEN a.atttypid = 'bytea'::regtype THEN
             format('translate(encode(%I, ''base64''), E''\\n'', '''')', a.attname)
             ELSE format('%I::text', a.attname) END, ' || ''|'' || ' ORDER BY array_position(i.indkey::int2[], a.attnum))
         FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
         WHERE i.indrelid = {}::regclass AND i.indisprimary",
        pg::literal(&pg::table(table))
    );
    let key = cast.postgres.psql(&columns)?;
    if key.trim().is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = cast.postgres.psql(&format!("SELECT {} FROM {}", key.trim(), pg::table(table)))?;
    Ok(rows.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect())
}
