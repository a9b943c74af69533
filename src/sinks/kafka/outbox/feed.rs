//! From the tape to the topics: which changes of the table mean an event, and when it goes.
//!
//! | change | meaning |
//! |---|---|
//! | insert | an event, unless the row says delivered or dead |
//! | copied row | as an insert, unless a note knows it; of a table without marks, in a first copy only |
//! | update to "delivered" or "dead" | our mark has come back; of a row that waits: somebody gave it up |
//! | other update of a row that waits | its new values |
//! | update to "pending, no attempts", when nothing is known of the row | an operator's retry |
//! | [`RETRY_PREFIX`] message | the rows it names are retried, by an update in the same transaction or without |
//! | delete, truncate | the row is forgotten; of a table without marks nothing |

mod attempt;
mod retry;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use retry::Retried;

use super::columns::{Incoming, Layout, Says};
use super::desk::{Desk, Failed, Mark, Outcome, Overview};
use super::note::{self, Noted};
use super::parked::{Body, Parked, Place};
use super::time::ALWAYS;
use super::waiting::Waiting;
use crate::config::KafkaOutbox;
use crate::model::{Lsn, Position};
use crate::pgoutput::{Message, OldKind, RelationDescription, Tuple};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::feed::{Feed, Notes, Out};
use crate::tape;

/// Prefix of the logical message that names rows to be retried.
pub const RETRY_PREFIX: &str = "pgtape.outbox.retry";
/// Rows that one call of `due` emits, at most: a Kafka transaction has its bounds.
const DUE_ROWS_MAX: usize = 10_000;
/// Bodies that were asked for are looked for this often.
const FOUND_POLL_US: i64 = 20_000;
/// What is shown is no older than this, while anything happens.
const SHOWN_AGE_US: i64 = 200_000;

/// An outbox as a feed.
pub struct OutboxFeed {
    settings: Arc<KafkaOutbox>,
    desk: Arc<Desk>,
    /// `None`: another table.
    relations: HashMap<u32, Option<Arc<Layout>>>,
    waiting: Waiting,
    /// Events that ended, and whose mark has not come back.
    settled: HashMap<Arc<str>, Mark>,
    /// Rows whose note is to be written or removed.
    changed: HashSet<Arc<str>>,
    /// The notes of the Kafka transaction that is being committed.
    noted: Vec<Arc<str>>,
    unit: Unit,
    /// Changes up to here are in the notes: of a unit that was committed in parts, and is read again.
    done: Option<Position>,
    /// Whether there is a note of that.
    done_noted: bool,
    now_us: i64,
    counts: Overview,
    shown_us: i64,
}

/// What is known of the unit that is being read.
#[derive(Default)]
struct Unit {
    commit_time_us: i64,
    /// The last change that was read of it, until it ends.
    at: Option<Position>,
    copy: Option<Copied>,
    /// Rows that an operator retries in this transaction, until their update comes.
    retried: HashMap<String, (Retried, Position)>,
}

/// Rows of a copy of the table.
struct Copied {
    first: bool,
    /// Whether it replaces what was there: what it lacks is gone.
    replaces: bool,
    /// Rows that were known, and are still there.
    seen: HashSet<Arc<str>>,
}

impl OutboxFeed {
    /// A feed that knows nothing yet; it clears the desk.
    #[must_use]
    pub fn new(settings: Arc<KafkaOutbox>, desk: Arc<Desk>) -> Self {
        desk.clear();
        Self {
            settings,
            desk,
            relations: HashMap::new(),
            waiting: Waiting::default(),
            settled: HashMap::new(),
            changed: HashSet::new(),
            noted: Vec::new(),
            unit: Unit::default(),
            done: None,
            done_noted: false,
            now_us: ALWAYS,
            counts: Overview::default(),
            shown_us: ALWAYS,
        }
    }

    /// The latest time that is known to have come: of the clock, or of the server's.
    fn clock_us(&self) -> i64 {
        self.now_us.max(self.unit.commit_time_us)
    }

    fn learn(&mut self, described: &RelationDescription<'_>) -> Result<(), Error> {
        let relation = described.to_relation();
        let layout = match relation.table == self.settings.table {
            true => Some(Arc::new(Layout::new(&relation, &self.settings)?)),
            false => None,
        };
        self.relations.insert(relation.id, layout);
        Ok(())
    }

    /// The layout of the outbox; `None` when the change is of another table.
    fn layout(&self, relation_id: u32) -> Result<Option<Arc<Layout>>, Error> {
        self.relations.get(&relation_id).cloned().ok_or_else(|| {
            let what = format!("the tape holds a change of table {relation_id}, which it does not describe");
            Refusal::new(Kind::Tape, what, "run `pgtape tape verify`; if it finds nothing, report this").into()
        })
    }

    /// A new row: of the stream, or of a copy.
    fn inserted(&mut self, row: &Incoming<'_>, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        let known = self.known(&row.id);
        if let Some(copy) = &mut self.unit.copy {
            copy.seen.extend(known.clone());
        }
        match known {
            Some(id) if self.settled.contains_key(&id) => self.mark_seen(&id, row.says),
            Some(id) => self.changed_while_parked(&id, row)?,
            None if row.says.delivered || row.says.dead => {}
            None if self.unit.copy.is_some() => self.copied(row, at)?,
            None => self.admit(row, at, out)?,
        }
        Ok(())
    }

    /// A change whose effect is in the notes: what only the rest of its unit needs.
    fn again(&mut self, message: &Message<'_>, at: Position) -> Result<(), Error> {
        match message {
            Message::Insert { relation_id, new } => {
                if let Some(layout) = self.layout(*relation_id)? {
                    let known = self.known(&layout.read(*new)?.id);
                    if let Some(copy) = &mut self.unit.copy {
                        copy.seen.extend(known);
                    }
                }
            }
            Message::Update { relation_id, new, .. } => {
                if let Some(layout) = self.layout(*relation_id)? {
                    self.unit.retried.remove(&*layout.read(*new)?.id);
                }
            }
            Message::Logical(logical) if logical.transactional && logical.prefix == RETRY_PREFIX => {
                self.retry_message(logical, at);
            }
            _ => {}
        }
        Ok(())
    }

    /// The row's id, if anything is known of it.
    fn known(&self, id: &str) -> Option<Arc<str>> {
        let settled = self.settled.get_key_value(id).map(|(id, _)| Arc::clone(id));
        settled.or_else(|| self.waiting.get(id).map(|_| Arc::from(id)))
    }

    /// A copied row that nothing is known of. It waits for the others: a copy has no order.
    fn copied(&mut self, row: &Incoming<'_>, at: Position) -> Result<(), Error> {
        let Some(copy) = &mut self.unit.copy else { return Ok(()) };
        if !copy.first && !self.settings.columns.marked() {
            return Ok(());
        }
        let id: Arc<str> = Arc::from(&*row.id);
        copy.seen.insert(Arc::clone(&id));
        let mut parked = parked_of(row, at)?;
        parked.place = Place::of_copied(at, &id, parked.available_us);
        self.park(id, parked)
    }

    /// An event of a row that nothing is known of: it goes now, or it waits.
    fn admit(&mut self, row: &Incoming<'_>, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        let parked = parked_of(row, at)?;
        let id: Arc<str> = Arc::from(&*row.id);
        let now = parked.due_us() <= self.clock_us() && !self.waiting.holds(&parked.aggregate);
        match (now, &parked.body) {
            (true, Body::Held { .. }) => self.attempt(&id, parked, out),
            (true, Body::Elsewhere) | (false, _) => self.park(id, parked),
        }
    }

    /// The table says something of an event that has ended.
    fn mark_seen(&mut self, id: &Arc<str>, says: Says) {
        let Some(mark) = self.settled.get(id) else { return };
        if says.delivered || (says.dead && mark.outcome != Outcome::Delivered) {
            self.settled.remove(id);
            self.changed.insert(Arc::clone(id));
        }
    }

    fn updated(
        &mut self,
        layout: &Layout,
        old: Option<(OldKind, Tuple<'_>)>,
        new: Tuple<'_>,
        at: Position,
        out: &mut dyn Out,
    ) -> Result<(), Error> {
        let row = layout.read(new)?;
        if let Some((_, old)) = old
            && let Some(former) = layout.id_of(old)?
            && former != row.id
        {
            // Under another id it is another row; what is known of the former goes with it.
            self.renamed(&former, &row.id);
        }
        let asked = self.unit.retried.remove(&*row.id).is_some();
        if asked {
            self.forget_lingering(&row.id);
        }
        match self.known(&row.id) {
            Some(id) if self.settled.contains_key(&id) => self.mark_seen(&id, row.says),
            Some(id) if asked && !row.says.delivered => {
                self.changed_while_parked(&id, &row)?;
                self.hurry(&id);
            }
            Some(id) => self.changed_while_parked(&id, &row)?,
            None => {
                let was_over = match old {
                    Some((OldKind::Full, old)) => {
                        let said = layout.says_of(old)?;
                        said.delivered || said.dead
                    }
                    Some((OldKind::Key, _)) | None => true,
                };
                if (asked && !row.says.delivered && !row.says.dead) || (row.says.fresh && was_over) {
                    self.admit(&row, at, out)?;
                }
            }
        }
        Ok(())
    }

    /// A row that waits has new values.
    fn changed_while_parked(&mut self, id: &Arc<str>, row: &Incoming<'_>) -> Result<(), Error> {
        if row.says.delivered || row.says.dead {
            tracing::info!(table = %self.settings.table, id = &**id, "an event that waits was marked by someone else");
            self.waiting.remove(id);
            self.changed.insert(Arc::clone(id));
            return Ok(());
        }
        let Some(known) = self.waiting.get(id) else { return Ok(()) };
        let (available_us, event_type, body) = (row.available_us()?, row.event_type()?, row.body()?);
        let same_body = body == Body::Elsewhere || known.body == Body::Elsewhere || body == known.body;
        if same_body && available_us == known.available_us && event_type == known.event_type {
            return Ok(());
        }
        self.waiting.change(id, |parked| {
            parked.available_us = available_us;
            parked.event_type = event_type;
            if !same_body {
                parked.body = body;
            }
        });
        self.changed.insert(Arc::clone(id));
        Ok(())
    }

    /// A row that waits is to be tried as if it never had been.
    fn hurry(&mut self, id: &Arc<str>) {
        self.waiting.change(id, |row| (row.retry_us, row.attempts, row.error) = (ALWAYS, 0, None));
        self.changed.insert(Arc::clone(id));
    }

    /// A table without a status cannot say that a row is dead: that outcome is known until the row is retried or deleted.
    fn forget_lingering(&mut self, id: &str) {
        let dead = self.settled.get(id).is_some_and(|mark| mark.outcome != Outcome::Delivered);
        if dead && self.settings.columns.status.is_none() {
            self.forget(id);
        }
    }

    fn renamed(&mut self, former: &str, id: &str) {
        let Some(known) = self.known(former) else { return };
        let id: Arc<str> = Arc::from(id);
        if let Some(mark) = self.settled.remove(&known) {
            self.settled.insert(Arc::clone(&id), mark);
        }
        if let Some(row) = self.waiting.remove(&known) {
            self.waiting.insert(Arc::clone(&id), row);
        }
        self.changed.extend([known, id]);
    }

    fn forget(&mut self, id: &str) {
        if let Some(id) = self.known(id) {
            self.settled.remove(&id);
            self.waiting.remove(&id);
            self.changed.insert(id);
        }
    }

    /// Rows known and not in `kept`.
    fn forget_all_but(&mut self, kept: &HashSet<Arc<str>>) {
        let known = self.settled.keys().chain(self.waiting.iter().map(|(id, _)| id));
        let gone: Vec<Arc<str>> = known.filter(|id| !kept.contains(*id)).cloned().collect();
        gone.iter().for_each(|id| self.forget(id));
    }
}

fn parked_of(row: &Incoming<'_>, at: Position) -> Result<Parked, Error> {
    Ok(Parked {
        place: Place::of(at),
        aggregate: Arc::new(row.aggregate()?),
        event_type: row.event_type()?,
        body: row.body()?,
        available_us: row.available_us()?,
        retry_us: ALWAYS,
        attempts: 0,
        error: None,
        at,
    })
}

impl Feed for OutboxFeed {
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        if key == note::DONE {
            self.done = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.done_noted = true;
            return Ok(());
        }
        let noted = note::id(key).and_then(|id| Some((id, note::decode(value)?)));
        let Some((id, noted)) = noted else {
            let what = format!("a note of the outbox {} cannot be understood", self.settings.table);
            let hint = "it was written by a newer pgtape, or by another sink: give this sink another name";
            return Err(Refusal::new(Kind::Tape, what, hint).into());
        };
        let id: Arc<str> = Arc::from(id);
        match noted {
            Noted::Parked(row) => self.waiting.insert(id, row),
            Noted::Settled(mark) if self.settings.columns.marked() => {
                self.desk.set_mark(&id, Some(&mark));
                self.settled.insert(id, mark);
            }
            // The table's marks are no longer configured.
            Noted::Settled(_) => drop(self.changed.insert(id)),
        }
        Ok(())
    }

    fn preamble(&mut self, message: Message<'_>) -> Result<(), Error> {
        match message {
            Message::Relation(described) => self.learn(&described),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, head: &tape::Head, _out: &mut dyn Out) -> Result<(), Error> {
        let table = self.settings.table.to_string();
        let copied = |first, replaces| Copied { first, replaces, seen: HashSet::new() };
        let replaced = head.tables.contains(&table);
        let copy = match head.kind {
            // One that does not say what it replaces begins a sink.
            tape::Kind::Copy => Some(copied(true, replaced)),
            tape::Kind::Refresh if replaced => Some(copied(false, true)),
            tape::Kind::Refresh | tape::Kind::Stream | tape::Kind::Message => None,
        };
        self.unit = Unit { commit_time_us: head.commit_time_us, at: None, copy, retried: HashMap::new() };
        self.done = self.done.filter(|done| done.lsn == head.end_lsn);
        Ok(())
    }

    fn message(&mut self, _lsn: Lsn, message: &Message<'_>, at: Position, out: &mut dyn Out) -> Result<(), Error> {
        if message.ops() > 0 {
            self.unit.at = Some(at);
            if self.done.is_some_and(|done| at <= done) {
                return self.again(message, at);
            }
        }
        match message {
            Message::Relation(described) => self.learn(described)?,
            Message::Insert { relation_id, new } => {
                if let Some(layout) = self.layout(*relation_id)? {
                    self.inserted(&layout.read(*new)?, at, out)?;
                }
            }
            Message::Update { relation_id, old, new } => {
                if let Some(layout) = self.layout(*relation_id)? {
                    self.updated(&layout, *old, *new, at, out)?;
                }
            }
            Message::Delete { relation_id, old, .. } => {
                let layout = self.layout(*relation_id)?.filter(|_| self.settings.columns.marked());
                if let Some(layout) = layout
                    && let Some(id) = layout.id_of(*old)?
                {
                    self.forget(&id);
                }
            }
            Message::Truncate { relation_ids, .. } => {
                for relation_id in relation_ids {
                    if self.layout(*relation_id)?.is_some() && self.settings.columns.marked() {
                        self.forget_all_but(&HashSet::new());
                    }
                }
            }
            Message::Logical(logical) if logical.transactional && logical.prefix == RETRY_PREFIX => {
                self.retry_message(logical, at);
            }
            Message::Logical(_)
            | Message::Begin(_)
            | Message::Commit(_)
            | Message::Origin { .. }
            | Message::Type { .. }
            | Message::Facts(_) => {}
        }
        Ok(())
    }

    fn commit(&mut self, _head: &tape::Head, _out: &mut dyn Out) -> Result<(), Error> {
        // Rows that a whole copy lacks are gone.
        if let Some(copy) = self.unit.copy.take()
            && copy.replaces
            && self.settings.columns.marked()
        {
            self.forget_all_but(&copy.seen);
        }
        (self.unit.at, self.done) = (None, None);
        self.retry_the_rest()
    }

    fn due(&mut self, now_us: i64, out: &mut dyn Out) -> Result<Option<i64>, Error> {
        self.now_us = self.now_us.max(now_us);
        self.take_found(out)?;
        let mut tried = 0;
        while let Some((due_us, id)) = self.waiting.first_due().filter(|(due_us, _)| *due_us <= self.now_us) {
            if tried == DUE_ROWS_MAX {
                return Ok(Some(due_us));
            }
            if self.waiting.get(&id).is_some_and(|row| row.body == Body::Elsewhere) {
                self.waiting.ask(&id);
                self.desk.want(&id);
                continue;
            }
            tried += 1;
            if let Some(row) = self.waiting.remove(&id) {
                self.attempt(&id, row, out)?;
            }
        }
        self.show();
        let next = self.waiting.first_due().map(|(due_us, _)| due_us);
        let found = self.waiting.is_asking().then(|| self.now_us.saturating_add(FOUND_POLL_US));
        Ok([next, found].into_iter().flatten().min())
    }

    fn write_notes(&mut self, notes: &mut dyn Notes) -> Result<(), Error> {
        // In the middle of a unit, or while one is to be read again of which a part is committed.
        match self.unit.at.max(self.done) {
            Some(at) => notes.note(note::DONE, Some(at.to_string().as_bytes()))?,
            None if self.done_noted => notes.note(note::DONE, None)?,
            None => {}
        }
        self.done_noted = self.unit.at.max(self.done).is_some();
        for id in self.changed.drain() {
            let value = match (self.waiting.get(&id), self.settled.get(&id)) {
                (Some(row), _) => Some(note::encode_parked(row)),
                (None, Some(mark)) => Some(note::encode_settled(mark)),
                (None, None) => None,
            };
            notes.note(&note::key(&id), value.as_deref())?;
            self.noted.push(id);
        }
        Ok(())
    }

    fn has_notes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn has_room(&self) -> bool {
        self.desk.has_room(self.settings.unmarked_bytes_max)
    }

    fn committed(&mut self) {
        for id in self.noted.drain(..) {
            self.desk.set_mark(&id, self.settled.get(&id));
            if let Some(row) = self.waiting.get(&id)
                && let Some(error) = &row.error
            {
                self.desk.set_failure(&id, Failed { attempts: row.attempts, error: error.clone() });
            }
        }
        self.show();
    }
}
