//! The feed of changes: each change of a captured table as a record of its table's topic.
//!
//! ```text
//!  message ──▶ route (topic, mask, format) ──▶ records ──▶ Out
//!                │ cannot be written                         │ too large
//!                └────────▶ topic of quarantine, or that topic stops ◀─┘
//! ```
//!
//! Invariants: records are produced in the tape's order, so each key's are too; a topic that stops is named, its place is
//! kept as a note, and the others go on. Knows neither the tape's files nor the producer.

mod borders;
pub mod emptied;
mod mask;
mod quarantine;
mod replaced;
mod route;
mod settings;
mod stopped;
#[cfg(test)]
mod tests;
mod unit;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

pub use mask::Mask;
pub use settings::{Format, Secret, Settings, Special, Truncate, Unfitting};
pub use stopped::{Stop, Stopped, note_of};

use super::feed::{Feed, Notes, Out, Produce, PutError};
use super::json::{self, Records, Snapshot, Types};
use super::topic;
use crate::model::{Lsn, OP_ALL, Position, Relation, TableName};
use crate::pgoutput::{Logical, Message, OldKind, RelationChange, Relations, TableFacts};
use crate::sinks::Error;
use crate::tape::{Head, Kind};
use borders::Numbers;
use route::{Change, Route, Scratch};
use unit::Unit;
use writer::{NoTable, Writer};

/// Logical messages of pgtape itself begin with this; they are nobody else's business.
const OWN_PREFIX: &str = "pgtape";

/// The feed of changes.
pub struct Changes {
    settings: Arc<Settings>,
    writer: Writer,
    relations: Relations,
    facts: HashMap<u32, TableFacts>,
    types: Types,
    /// `None`: not produced.
    routes: HashMap<u32, Option<Route>>,
    stopped: Stopped,
    unit: Unit,
    numbers: Numbers,
    records: Records,
    scratch: Scratch,
    topics: Topics,
    heartbeat_at: i64,
    quarantined: u64,
    /// Whether only what stopped topics missed is produced.
    catching_up: bool,
    /// The change at hand.
    at: Position,
}

/// Where records of a change go, and where they stand.
#[derive(Debug, Clone, Copy)]
struct Spot<'a> {
    table: &'a TableName,
    topic: &'a str,
    at: Position,
    /// Number of the first.
    part: u64,
}

/// Topics beside those of tables.
struct Topics {
    messages: String,
    transactions: String,
    heartbeats: String,
}

impl Changes {
    /// A feed that knows no table yet. `after` is where the sink stands.
    ///
    /// # Errors
    /// The registry's settings cannot be used.
    pub fn new(settings: Arc<Settings>, after: Position, last_commit: Option<Lsn>) -> Result<Self, Error> {
        let topics = Topics {
            messages: topic::of_messages(&settings.prefix) + &settings.suffix,
            transactions: topic::of_transactions(&settings.prefix) + &settings.suffix,
            heartbeats: topic::of_heartbeats(&settings.prefix) + &settings.suffix,
        };
        Ok(Self {
            writer: Writer::new(&settings)?,
            relations: Relations::default(),
            facts: HashMap::new(),
            types: Types::default(),
            routes: HashMap::new(),
            stopped: Stopped::default(),
            unit: Unit::after(after, last_commit),
            numbers: Numbers::default(),
            records: Records::default(),
            scratch: Scratch::default(),
            topics,
            heartbeat_at: 0,
            quarantined: 0,
            catching_up: false,
            at: after,
            settings,
        })
    }

    /// A feed of what topics that had stopped are owed, from the oldest stop on.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn catching_up(settings: &Settings, from: Position, owed: Vec<Stop>) -> Result<Self, Error> {
        let beside = Settings { messages: false, transactions: false, heartbeat_every: None, ..settings.clone() };
        let stopped = owed.into_iter().collect();
        Ok(Self { stopped, catching_up: true, ..Self::new(Arc::new(beside), from, None)? })
    }

    /// Whether the table is to be produced now.
    fn is_on(&self, table: &TableName) -> bool {
        match self.catching_up {
            true => self.stopped.is_owed(table, self.unit.end_lsn),
            false => !self.stopped.holds(table),
        }
    }

    /// Everything up to here has been produced: all before the change at hand.
    fn done(&self) -> Position {
        let first = self.at.op == 0 || self.at.op == OP_ALL || self.at.lsn != self.unit.end_lsn;
        if first { self.unit.before } else { Position::at(self.at.lsn, self.at.op - 1) }
    }

    /// Takes in what a message says of tables.
    fn learn(&mut self, message: &Message<'_>) {
        match message {
            Message::Relation(announced) => match self.relations.learn(announced) {
                RelationChange::Same => {}
                RelationChange::New | RelationChange::ColumnsDropped | RelationChange::Other => {
                    self.routes.remove(&announced.id);
                }
            },
            Message::Facts(facts) => {
                self.routes.remove(&facts.relation.id);
                self.facts.insert(facts.relation.id, facts.clone());
            }
            Message::Type { oid, schema, name } => {
                self.types.learn(*oid, schema, name);
                self.routes.clear();
            }
            _ => {}
        }
    }

    /// The way out of a relation's changes; `None`: they are not produced.
    fn route(&mut self, id: u32) -> Result<Option<&Route>, Error> {
        if !self.routes.contains_key(&id) {
            let relation = self.relations.get(id).cloned();
            let route = relation.map(|relation| self.make_route(&relation)).transpose()?;
            self.routes.insert(id, route.flatten());
        }
        Ok(self.routes[&id].as_ref())
    }

    fn make_route(&mut self, relation: &Arc<Relation>) -> Result<Option<Route>, Error> {
        let table = &relation.table;
        if !self.settings.includes(table) || !self.is_on(table) {
            return Ok(None);
        }
        if let Some(why) = self.shared_with(table) {
            self.stopped.stop(table, self.done(), why, None);
            return Ok(None);
        }
        let facts = self.facts.get(&relation.id);
        match Route::new(&self.settings, &mut self.writer, relation, facts, &self.types) {
            Ok(route) => Ok(Some(route)),
            Err(NoTable::Ended(error)) => Err(error),
            Err(NoTable::Stop(why)) => {
                self.stopped.stop(table, self.done(), why, None);
                Ok(None)
            }
        }
    }

    /// Why the table cannot have its topic, if another one has it: tables may come after the start, which looks at all.
    fn shared_with(&self, table: &TableName) -> Option<String> {
        let topic = self.settings.topic_of(table);
        let has = |route: &&Route| *route.topic == *topic && route.relation.table != *table;
        let other = self.routes.values().flatten().find(has).filter(|_| self.settings.names_table(table))?;
        Some(format!(
            "its topic {topic} is that of {}: give one of them a topic of its own with [[kafka.table]], or leave it out",
            other.relation.table
        ))
    }

    /// Produces a change of a row.
    fn row(&mut self, id: u32, change: Change<'_>, lsn: Lsn, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        let Some(route) = self.route(id)? else { return Ok(()) };
        let (relation, topic) = (Arc::clone(&route.relation), Arc::clone(&route.topic));
        let table = &relation.table;
        if self.catching_up && self.stopped.has(table, at) {
            return Ok(());
        }
        self.first_event(lsn, out)?;
        let stamp = self.unit.stamp(lsn, self.number(table));
        self.records.clear();
        let Some(Some(route)) = self.routes.get(&id) else { return Ok(()) };
        match route.put(change, &stamp, &mut self.scratch, &mut self.records) {
            Ok(events) => self.numbers.count(Some(table), events),
            Err(unfit) => {
                self.unfit(Spot { table, topic: &topic, at, part: 0 }, &unfit.to_string(), out)?;
                // The row has left its old key, whatever became of the new one.
                let Change::Update(Some((OldKind::Key, old)), _) = change else { return Ok(()) };
                return self.row(id, Change::Delete(OldKind::Key, old), lsn, at, out);
            }
        }
        self.give(Spot { table, topic: &topic, at, part: 0 }, out)
    }

    /// Gives the records at hand to `out`. Of a change of the key the delete of the old one stands, though the new row does
    /// not fit: the row has left its old key.
    fn give(&mut self, spot: Spot<'_>, out: &mut dyn Out) -> Result<(), Error> {
        let records = std::mem::take(&mut self.records);
        let given = self.each(&records, spot, |record| out.put(record));
        self.records = records;
        match given {
            Ok(()) => Ok(()),
            Err(PutError::Ended(error)) => Err(error),
            Err(PutError::Unfit(why)) => self.unfit(spot, &why, out),
        }
    }

    fn each(
        &self,
        records: &Records,
        spot: Spot<'_>,
        mut take: impl FnMut(&Produce<'_>) -> Result<(), PutError>,
    ) -> Result<(), PutError> {
        for (part, record) in (spot.part..).zip(records.iter()) {
            if record.value.is_none() && !self.settings.tombstones {
                continue;
            }
            let header = record.header.map(|(header, key)| [(header.name(), key)]);
            let headers: &[(&str, &[u8])] = header.as_ref().map_or(&[], |header| header);
            let (topic, position) = (spot.topic, spot.at);
            take(&Produce { topic, key: record.key, value: record.value, headers, position, part })?;
        }
        Ok(())
    }

    fn number(&self, table: &TableName) -> Option<json::InTransaction> {
        if self.settings.transactions { self.numbers.next(Some(table)) } else { None }
    }

    /// The transaction at hand has a record: its begin comes first.
    fn first_event(&mut self, lsn: Lsn, out: &mut dyn Out) -> Result<(), Error> {
        if !self.settings.transactions || self.unit.kind != Kind::Stream {
            return Ok(());
        }
        if !self.numbers.name(self.unit.xid, self.unit.own(lsn)) {
            return Ok(());
        }
        let Some(id) = self.numbers.id() else { return Ok(()) };
        self.records.clear();
        let topic = self.topics.transactions.clone();
        self.writer.put_begin(&topic, id, self.unit.commit_time_us, &mut self.records)?;
        self.aside(&topic, Position::at(self.unit.end_lsn, 0), out)
    }

    /// Gives records that belong to no table.
    fn aside(&mut self, topic: &str, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        for (part, record) in (0..).zip(self.records.iter()) {
            let produce = Produce { topic, key: record.key, value: record.value, headers: &[], position: at, part };
            match out.put(&produce) {
                Ok(()) => {}
                Err(PutError::Ended(error)) => return Err(error),
                Err(PutError::Unfit(why)) => {
                    self.quarantined += 1;
                    tracing::warn!(topic, position = %at, why, "a record cannot be produced");
                }
            }
        }
        Ok(())
    }

    fn truncate(&mut self, ids: &[u32], lsn: Lsn, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        for (op, id) in (at.op..).zip(ids) {
            if self.settings.truncate == Truncate::Skip || self.route(*id)?.is_none() {
                continue;
            }
            let place = Position::at(at.lsn, op);
            self.first_event(lsn, out)?;
            self.empty(*id, lsn, place, replaced::Place { at: place, part: 0 }, out)?;
        }
        Ok(())
    }

    fn logical(&mut self, logical: &Logical<'_>, lsn: Lsn, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        if !self.settings.messages || logical.prefix.starts_with(OWN_PREFIX) {
            return Ok(());
        }
        if logical.transactional {
            self.first_event(lsn, out)?;
        }
        let number = if self.settings.transactions { self.numbers.next(None) } else { None };
        let mut stamp = self.unit.stamp(logical.lsn, number.filter(|_| logical.transactional));
        if !logical.transactional {
            stamp.place.xid = None;
        }
        self.records.clear();
        let topic = self.topics.messages.clone();
        self.writer.put_message(&topic, logical, &stamp, &mut self.records)?;
        self.numbers.count(None, u64::from(logical.transactional));
        self.aside(&topic, at, out)
    }

    /// The change's kind under the unit at hand: rows of a copy are read, not inserted.
    fn inserted<'a>(&self, row: crate::pgoutput::Tuple<'a>) -> Change<'a> {
        match self.unit.kind {
            Kind::Copy | Kind::Refresh => Change::Read(row),
            Kind::Stream | Kind::Message => Change::Insert(row),
        }
    }
}

impl Feed for Changes {
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.stopped.restore(key, value)
    }

    fn preamble(&mut self, message: Message<'_>) -> Result<(), Error> {
        self.learn(&message);
        Ok(())
    }

    fn begin(&mut self, head: &Head, out: &mut dyn Out) -> Result<(), Error> {
        self.unit.begin(head, (self.settings.clock)());
        self.at = self.unit.before;
        if self.catching_up {
            // A table may have stopped later than others: it is on from there.
            self.routes.clear();
        }
        self.numbers.clear();
        match head.kind {
            Kind::Copy | Kind::Refresh => self.replace(head, out),
            Kind::Stream | Kind::Message => Ok(()),
        }
    }

    fn message(&mut self, lsn: Lsn, message: &Message<'_>, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        self.at = at;
        match message {
            Message::Insert { relation_id, new } => self.row(*relation_id, self.inserted(*new), lsn, at, out),
            Message::Update { relation_id, old, new } => {
                self.row(*relation_id, Change::Update(*old, *new), lsn, at, out)
            }
            Message::Delete { relation_id, kind, old } => {
                self.row(*relation_id, Change::Delete(*kind, *old), lsn, at, out)
            }
            Message::Truncate { relation_ids, .. } => self.truncate(relation_ids, lsn, at, out),
            Message::Logical(logical) => self.logical(logical, lsn, at, out),
            Message::Origin { lsn, name } => {
                self.unit.origin = Some(((*name).to_owned(), *lsn));
                Ok(())
            }
            Message::Relation(_) | Message::Type { .. } | Message::Facts(_) => {
                self.learn(message);
                Ok(())
            }
            Message::Begin(_) | Message::Commit(_) => Ok(()),
        }
    }

    fn commit(&mut self, head: &Head, out: &mut dyn Out) -> Result<(), Error> {
        if let Some(id) = self.numbers.id() {
            let end = json::TransactionId { lsn: head.end_lsn, ..id };
            self.records.clear();
            let topic = self.topics.transactions.clone();
            let (time_us, numbers) = (head.commit_time_us, &self.numbers);
            self.writer.put_end(&topic, end, time_us, numbers.total(), numbers.tables(), &mut self.records)?;
            self.aside(&topic, Position::whole(head.end_lsn), out)?;
        }
        self.unit.end(head);
        Ok(())
    }

    fn due(&mut self, now_us: i64, out: &mut dyn Out) -> Result<Option<i64>, Error> {
        let Some(every) = self.settings.heartbeat_every else { return Ok(None) };
        let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
        if now_us >= self.heartbeat_at {
            self.heartbeat_at = now_us.saturating_add(every);
            self.records.clear();
            let topic = self.topics.heartbeats.clone();
            self.writer.put_heartbeat(&topic, now_us, &mut self.records)?;
            self.aside(&topic, self.unit.before, out)?;
        }
        Ok(Some(self.heartbeat_at))
    }

    fn write_notes(&mut self, notes: &mut dyn Notes) -> Result<(), Error> {
        if self.catching_up {
            self.stopped.caught_up_to(self.unit.before);
        }
        self.stopped.write(notes)
    }

    fn committed(&mut self) {
        self.stopped.committed();
    }

    fn quarantined(&mut self) -> u64 {
        std::mem::take(&mut self.quarantined)
    }

    fn stopped(&self) -> Vec<Stop> {
        self.stopped.all()
    }

    fn owed(&self) -> Vec<Stop> {
        self.stopped.resuming()
    }

    fn paid(&mut self, left: Vec<Stop>) {
        self.stopped.go_on(left);
        self.routes.clear();
    }
}

/// What stands for the rows of a copy.
const fn snapshot_of(kind: Kind) -> Snapshot {
    match kind {
        Kind::Copy => Snapshot::Yes,
        Kind::Refresh => Snapshot::Incremental,
        Kind::Stream | Kind::Message => Snapshot::No,
    }
}
