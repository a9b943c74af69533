//! Whole histories of an outbox: a tape that is a list, a broker that is a list, and a table that is marked in between.

mod cases;
mod histories;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::desk::{Desk, Mark, Outcome, StatusHandle};
use super::feed::{OutboxFeed, RETRY_PREFIX};
use crate::config::{KafkaOutbox, RawKafkaOutbox};
use crate::model::{Column, Identity, Lsn, Position, Relation};
use crate::pgoutput::{Cell, Logical, OldKind, decode, encode_delete, encode_insert, encode_logical, encode_relation};
use crate::pgoutput::{encode_truncate, encode_update};
use crate::sinks::Error;
use crate::sinks::kafka::feed::{Feed, Notes, Out, Produce, PutError};
use crate::tape;

const RELATION: u32 = 16_400;
const BOOL: u32 = 16;
const INT4: u32 = 23;
const INT8: u32 = 20;
const JSONB: u32 = 3802;
const TEXT: u32 = 25;
const TIMESTAMPTZ: u32 = 1184;

/// An outbox with everything.
const MARKED: &str = "
table = 'shop.events'
attempts_max = 3
backoff_first = '1 s'
backoff_max = '4 s'
[columns]
aggregate_type = 'aggregate_type'
aggregate_id = 'aggregate_id'
event_type = 'event_type'
headers = 'headers'
available_at = 'available_at'
delivered = 'delivered'
status = 'status'
published_at = 'published_at'
attempts = 'attempts'
last_error = 'last_error'
";

/// Debezium's.
const PLAIN: &str = "table = 'shop.events'\nattempts_max = 3";

/// A row of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    id: String,
    aggregate: String,
    payload: Option<String>,
    headers: String,
    available_s: i64,
    delivered: bool,
    status: String,
    attempts: u32,
}

/// A record that the broker has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    topic: String,
    key: Option<String>,
    value: Option<String>,
    headers: BTreeMap<String, String>,
    place: (Position, u64),
    at_us: i64,
}

impl Sent {
    fn id(&self) -> &str {
        &self.headers["id"]
    }
}

/// Whether the broker takes a record: by its topic, its id, and how many it has been offered of it.
type Judge = Box<dyn Fn(&Produce<'_>, u32) -> bool>;

struct Broker {
    open: Vec<Sent>,
    offered: BTreeMap<(String, Vec<u8>), u32>,
    judge: Judge,
    now_us: i64,
}

impl Out for Broker {
    fn put(&mut self, record: &Produce<'_>) -> Result<(), PutError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: BTreeMap<String, String> =
            record.headers.iter().map(|(n, v)| ((*n).to_owned(), text(v))).collect();
        let offered = self.offered.entry((record.topic.to_owned(), headers["id"].clone().into_bytes())).or_default();
        *offered += 1;
        if !(self.judge)(record, *offered) {
            return Err(PutError::Unfit(format!("the broker refused it {offered} times")));
        }
        self.open.push(Sent {
            topic: record.topic.to_owned(),
            key: record.key.map(text),
            value: record.value.map(text),
            headers,
            place: (record.position, record.part),
            at_us: self.now_us,
        });
        Ok(())
    }
}

/// Notes of the open Kafka transaction.
#[derive(Default)]
struct Open(Vec<(String, Option<Vec<u8>>)>);

impl Notes for Open {
    fn note(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        self.0.push((key.to_owned(), value.map(<[u8]>::to_vec)));
        Ok(())
    }
}

/// Everything around a feed.
struct World {
    settings: Arc<KafkaOutbox>,
    desk: Arc<Desk>,
    feed: OutboxFeed,
    broker: Broker,
    tape: Vec<(tape::Kind, Vec<Vec<u8>>)>,
    /// Units that were read, and of those the ones whose effect is committed.
    read: usize,
    committed: usize,
    log: Vec<Sent>,
    notes: BTreeMap<String, Vec<u8>>,
    table: BTreeMap<String, Row>,
    /// Seconds.
    now_s: i64,
    marked: bool,
}

impl World {
    fn new(settings: &str) -> Self {
        Self::judged(settings, |_, _| true)
    }

    fn judged(settings: &str, judge: impl Fn(&Produce<'_>, u32) -> bool + 'static) -> Self {
        let settings = toml::from_str::<RawKafkaOutbox>(settings).unwrap().check("kafka.outbox", None).unwrap();
        let (settings, desk) = (Arc::new(settings), Arc::new(Desk::default()));
        let broker =
            Broker { open: Vec::new(), offered: BTreeMap::new(), judge: Box::new(judge), now_us: 1_000 * 1_000_000 };
        let mut world = Self {
            feed: OutboxFeed::new(Arc::clone(&settings), Arc::clone(&desk)),
            marked: settings.columns.marked(),
            settings,
            desk,
            broker,
            tape: Vec::new(),
            read: 0,
            committed: 0,
            log: Vec::new(),
            notes: BTreeMap::new(),
            table: BTreeMap::new(),
            now_s: 1_000,
        };
        world.start();
        world
    }

    fn relation(&self) -> Relation {
        let all = [
            ("id", INT8),
            (&*self.settings.columns.aggregate_type, TEXT),
            (&*self.settings.columns.aggregate_id, TEXT),
            (&*self.settings.columns.event_type, TEXT),
            ("payload", JSONB),
            ("headers", JSONB),
            ("available_at", TIMESTAMPTZ),
            ("delivered", BOOL),
            ("status", TEXT),
            ("published_at", TIMESTAMPTZ),
            ("attempts", INT4),
            ("last_error", TEXT),
        ];
        let columns = &all[..if self.marked { all.len() } else { 5 }];
        let column = |(name, type_oid): &(&str, u32)| Column {
            name: (*name).into(),
            in_identity: *name == "id",
            type_oid: *type_oid,
            type_modifier: -1,
        };
        let columns = columns.iter().map(column).collect();
        Relation { id: RELATION, table: self.settings.table.clone(), identity: Identity::Default, columns }
    }

    /// A feed that knows what is committed, and nothing else.
    fn start(&mut self) {
        self.feed = OutboxFeed::new(Arc::clone(&self.settings), Arc::clone(&self.desk));
        for (key, value) in &self.notes {
            self.feed.restore(key, value).unwrap();
        }
        let mut relation = Vec::new();
        encode_relation(&self.relation(), &mut relation);
        self.feed.preamble(decode(&relation).unwrap()).unwrap();
        self.read = self.committed;
    }

    /// The process is killed: what was not committed is gone.
    fn crash(&mut self) {
        self.broker.open.clear();
        self.start();
    }

    fn cells(&self, row: &Row, unchanged: bool) -> Vec<Option<String>> {
        let time =
            jiff::Timestamp::from_second(row.available_s).unwrap().to_string().replace('T', " ").replace('Z', "+00");
        let flag = if row.delivered { "t" } else { "f" };
        let payload = if unchanged { Some("\0".into()) } else { row.payload.clone() };
        let mut cells = vec![
            Some(row.id.clone()),
            Some("order".into()),
            Some(row.aggregate.clone()),
            Some("order.placed".into()),
            payload,
        ];
        if self.marked {
            cells.extend([Some(row.headers.clone()), Some(time), Some(flag.into()), Some(row.status.clone())]);
            cells.extend([None, Some(row.attempts.to_string()), None]);
        }
        cells
    }

    fn insert_message(&self, row: &Row) -> Vec<u8> {
        let (cells, mut out) = (self.cells(row, false), Vec::new());
        encode_insert(RELATION, cells.iter().map(as_cell), &mut out);
        out
    }

    fn unit(&mut self, kind: tape::Kind, messages: Vec<Vec<u8>>) {
        self.tape.push((kind, messages));
    }

    /// A row, committed by itself.
    fn insert(&mut self, id: u32, aggregate: &str, available_in_s: i64) {
        let row = Row {
            id: id.to_string(),
            aggregate: aggregate.into(),
            payload: Some(format!("{{\"n\": {id}}}")),
            headers: "{}".into(),
            available_s: self.now_s + available_in_s,
            delivered: false,
            status: "pending".into(),
            attempts: 0,
        };
        self.insert_row(row);
    }

    fn insert_row(&mut self, row: Row) {
        self.insert_rows(vec![row]);
    }

    fn insert_rows(&mut self, rows: Vec<Row>) {
        let messages = rows.iter().map(|row| self.insert_message(row)).collect();
        self.unit(tape::Kind::Stream, messages);
        self.table.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    }

    /// A change of a row; `unchanged` when its payload is out of line, and not sent.
    fn update_message(&mut self, id: &str, unchanged: bool, change: impl FnOnce(&mut Row)) -> Option<Vec<u8>> {
        let row = self.table.get_mut(id)?;
        change(row);
        let row = row.clone();
        let (cells, mut out) = (self.cells(&row, unchanged), Vec::new());
        encode_update(
            RELATION,
            None::<(OldKind, std::vec::IntoIter<Cell<'_>>)>,
            cells.iter().map(as_cell).collect::<Vec<_>>().into_iter(),
            &mut out,
        );
        Some(out)
    }

    fn update(&mut self, id: &str, change: impl FnOnce(&mut Row)) {
        if let Some(message) = self.update_message(id, false, change) {
            self.unit(tape::Kind::Stream, vec![message]);
        }
    }

    fn delete(&mut self, id: &str) {
        if self.table.remove(id).is_some() {
            let cells =
                (0..self.relation().columns.len()).map(|i| if i == 0 { Cell::Text(id.as_bytes()) } else { Cell::Null });
            let mut out = Vec::new();
            encode_delete(RELATION, OldKind::Key, cells.collect::<Vec<_>>().into_iter(), &mut out);
            self.unit(tape::Kind::Stream, vec![out]);
        }
    }

    fn truncate(&mut self) {
        self.table.clear();
        let mut out = Vec::new();
        encode_truncate(&[RELATION], &mut out);
        self.unit(tape::Kind::Stream, vec![out]);
    }

    /// What `pgtape outbox retry` commits.
    fn retry(&mut self, id: &str, unchanged: bool) {
        let Some(row) = self.table.get(id).cloned() else { return };
        let content = serde_json::json!({"table": "shop.events", "rows": [
            {"id": row.id, "aggregate_type": "order", "aggregate_id": row.aggregate, "event_type": "order.placed"},
        ]});
        let content = content.to_string().into_bytes();
        let mut message = Vec::new();
        let logical = Logical { transactional: true, lsn: Lsn(1), prefix: RETRY_PREFIX, content: &content };
        encode_logical(&logical, &mut message);
        let update = self.update_message(id, unchanged, |row| {
            (row.delivered, row.status, row.attempts) = (false, "pending".into(), 0);
        });
        let update = update.filter(|_| self.marked);
        self.unit(tape::Kind::Stream, [message].into_iter().chain(update).collect());
    }

    /// The table copied again, rows in an order of their own.
    fn copy(&mut self, kind: tape::Kind) {
        let messages = self.table.values().rev().map(|row| self.insert_message(row)).collect();
        self.unit(kind, messages);
    }

    /// Reads one unit; false at the end of the tape.
    fn read(&mut self) -> bool {
        self.read_parts(None, false)
    }

    /// Reads one unit, which is committed in the middle, after so many messages; and the process is killed there, if wanted.
    fn read_parts(&mut self, part: Option<usize>, killed: bool) -> bool {
        let Some((kind, messages)) = self.tape.get(self.read).cloned() else { return false };
        let lsn = Lsn(16 * (u64::try_from(self.read).unwrap() + 1));
        let copied = matches!(kind, tape::Kind::Copy | tape::Kind::Refresh);
        let head = tape::Head {
            kind,
            xid: 1,
            begin_lsn: lsn,
            commit_lsn: lsn,
            end_lsn: lsn,
            commit_time_us: 0,
            epoch: 1,
            messages: 0,
            bytes: 0,
            tables: if copied { vec!["shop.events".into()] } else { vec![] },
        };
        self.feed.begin(&head, &mut self.broker).unwrap();
        let mut op = 0;
        for (number, raw) in messages.iter().enumerate() {
            let message = decode(raw).unwrap();
            self.feed.message(lsn, &message, Position::at(lsn, op), &mut self.broker).unwrap();
            op += message.ops();
            if part == Some(number) {
                self.kafka_commit();
                if killed {
                    self.crash();
                    return true;
                }
            }
        }
        self.feed.commit(&head, &mut self.broker).unwrap();
        self.read += 1;
        true
    }

    /// Time passes, and what is due is produced. Returns when the feed wants to be asked again, in seconds from now.
    fn tick(&mut self, seconds: i64) -> Option<i64> {
        self.now_s += seconds;
        self.broker.now_us = self.now_s * 1_000_000;
        let next = self.feed.due(self.broker.now_us, &mut self.broker).unwrap();
        next.map(|us| (us - self.broker.now_us) / 1_000_000)
    }

    fn kafka_commit(&mut self) {
        let mut open = Open::default();
        self.feed.write_notes(&mut open).unwrap();
        for (key, value) in open.0 {
            match value {
                Some(value) => drop(self.notes.insert(key, value)),
                None => drop(self.notes.remove(&key)),
            }
        }
        self.log.append(&mut self.broker.open);
        self.committed = self.read;
        self.feed.committed();
    }

    /// The marker writes what is on the desk; the marks come over the tape. Returns how many.
    fn mark(&mut self) -> usize {
        let work = self.desk.work(100);
        for (id, mark) in &work.marks {
            let Mark { attempts, outcome, .. } = mark.clone();
            if self.table.get(&**id).is_some_and(|row| !row.delivered) {
                self.update(id, |row| {
                    (row.delivered, row.attempts) = (outcome == Outcome::Delivered, attempts);
                    row.status = if row.delivered { "delivered" } else { "dead" }.into();
                });
            }
        }
        for (id, failed) in &work.failures {
            let attempts = failed.attempts;
            if self.table.get(&**id).is_some_and(|row| !row.delivered && row.status == "pending") {
                self.update(id, |row| row.attempts = attempts);
            }
        }
        let found = |id: &Arc<str>| {
            let body = |row: &Row| super::parked::Body::Held {
                payload: row.payload.clone().map(String::into_bytes),
                headers: self.marked.then(|| row.headers.clone()),
            };
            let found =
                self.table.get(&**id).map_or(super::desk::Found::Gone, |row| super::desk::Found::Body(body(row)));
            (Arc::clone(id), found)
        };
        let found: Vec<_> = work.wanted.iter().map(found).collect();
        let done = work.marks.len() + work.failures.len() + found.len();
        self.desk.done(&work, found);
        done
    }

    /// Everything that can happen by itself happens.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            while self.read() {}
            let next = self.tick(0);
            self.kafka_commit();
            let marked = self.mark();
            match next {
                Some(seconds) => drop(self.tick(seconds + 1)),
                None if marked == 0 && self.read == self.tape.len() => return self.kafka_commit(),
                None => {}
            }
        }
        panic!("it never comes to rest");
    }

    /// The committed records: `id` of an event, `!id` of a dead letter.
    fn said(&self) -> String {
        let one = |sent: &Sent| match sent.topic.as_str() {
            "outbox.dead_letter" => format!("!{}", sent.id()),
            _ => sent.id().to_owned(),
        };
        self.log.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn status(&self) -> StatusHandle {
        StatusHandle::new(Arc::clone(&self.desk), self.settings.unmarked_bytes_max)
    }
}

fn as_cell(cell: &Option<String>) -> Cell<'_> {
    match cell.as_deref() {
        None => Cell::Null,
        Some("\0") => Cell::Unchanged,
        Some(text) => Cell::Text(text.as_bytes()),
    }
}
