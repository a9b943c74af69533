//! What an actor is, and the rows it promises.

use std::collections::BTreeMap;
use std::future::Future;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engines::{Error, Store};
use crate::model::Lsn;

/// A row as far as its writer determines it: column to the value's `::text`, `None` for NULL. Columns that the server
/// fills (sequences, `DEFAULT now()`) are left out.
pub type Image = BTreeMap<String, Option<String>>;

/// Rows by table (`schema.name`), as read back at a start.
#[derive(Debug, Default)]
pub struct Rows(pub BTreeMap<String, Vec<Image>>);

impl Rows {
    /// The rows of `table`.
    pub fn of(&self, table: &str) -> impl Iterator<Item = &Image> {
        self.0.get(table).into_iter().flatten()
    }
}

/// What one event does to one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// `schema.name`.
    pub table: String,
    /// Columns and texts that identify the row; the same columns for every row of a table. Need not be the primary key
    /// (a sequence is not known in advance), but must be unique.
    pub key: BTreeMap<String, String>,
    /// The row after the event, key columns included; `None`: there is no such row.
    pub after: Option<Image>,
}

impl Effect {
    /// The row `after` is there, identified by the columns `key`.
    ///
    /// # Panics
    /// When a key column is missing from `after` or NULL.
    #[must_use]
    pub fn row(table: &str, key: &[&str], after: Image) -> Self {
        let value = |column: &str| after[column].clone().expect("a key column is never NULL");
        let key = key.iter().map(|&column| (column.to_owned(), value(column))).collect();
        Self { table: table.to_owned(), key, after: Some(after) }
    }

    /// The row with this key is gone.
    #[must_use]
    pub fn gone(table: &str, key: &[(&str, &str)]) -> Self {
        let key = key.iter().map(|&(column, value)| (column.to_owned(), value.to_owned())).collect();
        Self { table: table.to_owned(), key, after: None }
    }
}

/// When and as what an event is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The event's number, from 0; ids are made of it.
    pub number: u64,
    /// The simulation's seed; ids are made of it too, so that two seeds never touch the same row.
    pub seed: u64,
    /// The simulated time, microseconds since 1970.
    pub time_us: i64,
}

/// One simulated writer. It owns its rows alone and does one event at a time.
pub trait Actor: Send {
    /// A decided event; stored in the record while in flight, so that a restarted actor repeats exactly it.
    type Event: Serialize + DeserializeOwned + Send + Sync;

    /// The name of the actor and of its record's file: the engine's, or `engine-part`.
    fn name(&self) -> &'static str;

    /// The tables (`schema.name`) whose rows [`Actor::restore`] needs.
    fn tables(&self) -> &'static [&'static str];

    /// Rebuilds the open state from rows of its tables. Other actors' and other seeds' rows may be among them.
    fn restore(&mut self, rows: &Rows) -> Result<(), String>;

    /// Asks the server for what rows do not tell (ids it assigned). After [`Actor::restore`], before the first decision.
    fn prepare(&mut self, _store: &Store) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Decides the next event from state, dice and moment alone: no clock, no other chance, no map of random order.
    fn decide(&self, moment: Moment, dice: &mut super::Dice) -> Self::Event;

    /// What the rows will look like after it, computed from the actor's own state, not from Postgres.
    fn effects(&self, event: &Self::Event) -> Vec<Effect>;

    /// Commits it; called again with the same event after a lost answer or a restart. The returned position is the
    /// commit's read-your-writes token.
    fn perform(&mut self, store: &Store, event: &Self::Event) -> impl Future<Output = Result<Lsn, Error>> + Send;

    /// Folds the acknowledged event into the state.
    fn fold(&mut self, event: &Self::Event);
}

/// A value that is there.
#[must_use]
pub fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// An image from column names and texts.
#[must_use]
pub fn image<const N: usize>(columns: [(&str, Option<String>); N]) -> Image {
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A `timestamptz` as Postgres prints it in UTC under ISO: `2026-01-31 10:00:00.5+00`.
#[must_use]
pub fn timestamp_text(time_us: i64) -> String {
    let timestamp = Timestamp::from_microsecond(time_us).expect("simulated time is within jiff's years");
    let text = timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let micros = time_us.rem_euclid(1_000_000);
    if micros == 0 {
        return format!("{text}+00");
    }
    format!("{text}.{}+00", format!("{micros:06}").trim_end_matches('0'))
}

/// A `jsonb` as Postgres prints it: keys by length, then bytes; a blank after colons and commas. Numbers must be
/// integers: `jsonb` keeps a number's digits as typed, `serde_json` may not.
#[must_use]
pub fn jsonb_text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(jsonb_text).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), jsonb_text(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_postgres() {
        assert_eq!(timestamp_text(1_700_000_000_000_000), "2023-11-14 22:13:20+00");
        assert_eq!(timestamp_text(1_700_000_000_120_000), "2023-11-14 22:13:20.12+00");
        let value = serde_json::json!({"bb": [1, {"x": null}], "a": "q\"ü", "c": {}});
        assert_eq!(jsonb_text(&value), r#"{"a": "q\"ü", "c": {}, "bb": [1, {"x": null}]}"#);
    }
}
