//! Topics that have stopped: which, since where, why. They stay so over restarts, until an operator lets them go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Position, TableName};
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
}

#[derive(Serialize, Deserialize)]
struct Wire {
    position: String,
    reason: String,
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

    /// Stops the table's topic; the first stop counts.
    pub fn stop(&mut self, table: &TableName, position: Position, reason: String) {
        if self.holds(table) {
            return;
        }
        tracing::error!(%table, %position, reason, "nothing more of this table is produced");
        self.stops.insert(table.clone(), Stop { table: table.clone(), position, reason });
        self.unwritten.push(table.clone());
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Stop> {
        self.stops.values().cloned().collect()
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
        self.stops.insert(table.clone(), Stop { table, position, reason: wire.reason });
        Ok(())
    }

    /// Writes down what is new.
    pub fn write(&self, notes: &mut dyn Notes) -> Result<(), Error> {
        for table in &self.unwritten {
            let Some(stop) = self.stops.get(table) else { continue };
            let wire = Wire { position: stop.position.to_string(), reason: stop.reason.clone() };
            let value = serde_json::to_vec(&wire).expect("texts are always JSON");
            notes.note(&note_of(table), Some(&value))?;
        }
        Ok(())
    }

    /// What was written is committed.
    pub fn committed(&mut self) {
        self.unwritten.clear();
    }
}

/// The key of a table's note.
#[must_use]
pub fn note_of(table: &TableName) -> String {
    format!("{NOTE}{table}")
}
