//! Topics that have stopped: which, since where, why. They stay so over restarts, until an operator lets them go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Lsn, Position, TableName};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::feed::Notes;

/// Notes of stopped topics begin with this.
const NOTE: &str = "stopped/";

/// A table whose topic has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// The table.
    pub table: TableName,
    /// What is after here has not been produced.
    pub position: Position,
    /// Why.
    pub reason: String,
    /// The change that emptied the table, if that is why: who lets the topic go on passes this one, and no other.
    #[serde(skip)]
    pub emptied: Option<Position>,
    /// Whether it is to go on, once it has what it missed.
    pub resuming: bool,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    position: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emptied: Option<String>,
    #[serde(default)]
    resuming: bool,
}

impl Stop {
    /// Its note.
    fn encode(&self) -> Vec<u8> {
        let (position, reason) = (self.position.to_string(), self.reason.clone());
        let emptied = self.emptied.map(|position| position.to_string());
        serde_json::to_vec(&Wire { position, reason, emptied, resuming: self.resuming }).expect("texts are always JSON")
    }

    /// Its note, once it is to go on.
    #[must_use]
    pub fn resuming(&self) -> Vec<u8> {
        Stop { resuming: true, ..self.clone() }.encode()
    }
}

/// The topics that have stopped.
#[derive(Debug, Default)]
pub struct Stopped {
    stops: BTreeMap<TableName, Stop>,
    /// Stops that the last committed transaction does not hold.
    unwritten: Vec<TableName>,
}

impl Stopped {
    /// Whether the table's topic has stopped.
    #[must_use]
    pub fn holds(&self, table: &TableName) -> bool {
        self.stops.contains_key(table)
    }

    /// Whether the table's topic missed what ends at `lsn`.
    #[must_use]
    pub fn is_owed(&self, table: &TableName, lsn: Lsn) -> bool {
        self.stops.get(table).is_some_and(|stop| stop.resuming && stop.position < Position::whole(lsn))
    }

    /// Whether the table's topic stopped because of this change.
    #[must_use]
    pub fn was_emptied_by(&self, table: &TableName, by: Position) -> bool {
        self.stops.get(table).is_some_and(|stop| stop.emptied == Some(by))
    }

    /// Stops the table's topic; the first stop counts. `emptied` is the change that emptied the table, if that is why.
    pub fn stop(&mut self, table: &TableName, position: Position, reason: String, emptied: Option<Position>) {
        if self.stops.get(table).is_some_and(|stop| !stop.resuming) {
            return;
        }
        tracing::error!(%table, %position, reason, "nothing more of this table is produced");
        let stop = Stop { table: table.clone(), position, reason, emptied, resuming: false };
        self.stops.insert(table.clone(), stop);
        self.unwritten.push(table.clone());
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Stop> {
        self.stops.values().cloned().collect()
    }

    /// Those that are to go on.
    #[must_use]
    pub fn resuming(&self) -> Vec<Stop> {
        self.stops.values().filter(|stop| stop.resuming).cloned().collect()
    }

    /// Those that were to go on, do; but for those that are `left`, having stopped again.
    pub fn go_on(&mut self, left: Vec<Stop>) {
        for stop in self.resuming() {
            let again = left.iter().find(|again| again.table == stop.table && !again.resuming);
            match again {
                Some(again) => _ = self.stops.insert(stop.table.clone(), again.clone()),
                None => _ = self.stops.remove(&stop.table),
            }
            self.unwritten.push(stop.table);
        }
    }

    /// Whether the change at `at` was produced before the table's topic stopped.
    #[must_use]
    pub fn has(&self, table: &TableName, at: Position) -> bool {
        self.stops.get(table).is_none_or(|stop| at <= stop.position)
    }

    /// Those that catch up have got this far.
    pub fn caught_up_to(&mut self, position: Position) {
        for stop in self.stops.values_mut().filter(|stop| stop.resuming && stop.position < position) {
            stop.position = position;
            self.unwritten.push(stop.table.clone());
        }
    }

    /// Those that all the notes of a sink tell.
    pub fn of_notes(notes: &BTreeMap<String, Vec<u8>>) -> Result<Self, Error> {
        let mut stopped = Self::default();
        notes.iter().try_for_each(|(key, value)| stopped.restore(key, value))?;
        Ok(stopped)
    }

    /// Takes in a note.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        let Some(table) = key.strip_prefix(NOTE) else { return Ok(()) };
        let unreadable = || {
            let what = format!("the note of a stopped topic, {key}, cannot be read");
            Refusal::new(Kind::Tape, what, "the progress topic was written by something else: look at it")
        };
        let table = TableName::parse(table).ok_or_else(unreadable)?;
        let wire: Wire = serde_json::from_slice(value).map_err(|_| unreadable())?;
        let position = wire.position.parse().map_err(|_| unreadable())?;
        let emptied = wire.emptied.map(|text| text.parse()).transpose().map_err(|_| unreadable())?;
        let stop = Stop { table: table.clone(), position, reason: wire.reason, emptied, resuming: wire.resuming };
        self.stops.insert(table, stop);
        Ok(())
    }

    /// Writes down what is new.
    pub fn write(&self, notes: &mut dyn Notes) -> Result<(), Error> {
        for table in &self.unwritten {
            let value = self.stops.get(table).map(Stop::encode);
            notes.note(&note_of(table), value.as_deref())?;
        }
        Ok(())
    }

    /// What was written is committed.
    pub fn committed(&mut self) {
        self.unwritten.clear();
    }
}

impl FromIterator<Stop> for Stopped {
    fn from_iter<T: IntoIterator<Item = Stop>>(stops: T) -> Self {
        Self { stops: stops.into_iter().map(|stop| (stop.table.clone(), stop)).collect(), unwritten: Vec::new() }
    }
}

/// The key of a table's note.
#[must_use]
pub fn note_of(table: &TableName) -> String {
    format!("{NOTE}{table}")
}
