//! Which events wait, are dead, or are not delivered.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Outbox;
use crate::pg::{self, identifier, literal};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::outbox::{MarkerStatus, Overview, ParkedRow, open_condition};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Events that wait, as the running service knows them.
    Parked,
    /// Events in the dead-letter topic.
    Dead,
    /// Events that the table does not call delivered or dead.
    Undelivered,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "parked" => Ok(Wanted::Parked),
            "dead" => Ok(Wanted::Dead),
            "undelivered" => Ok(Wanted::Undelivered),
            other => Err(format!("'{other}' is not a state: write parked, dead or undelivered")),
        }
    }
}

/// A question.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which events.
    pub state: Wanted,
    /// Only of this aggregate: type and id.
    pub aggregate: Option<(String, String)>,
    /// At most so many.
    pub limit: usize,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its aggregate's type.
    pub aggregate_type: Option<String>,
    /// Its aggregate's id.
    pub aggregate_id: Option<String>,
    /// Its type.
    pub event_type: Option<String>,
    /// Attempts so far, where that is known.
    pub attempts: Option<i64>,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When it may be tried: as the table says, or, of one that waits, the next time.
    pub available_at: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// The sink.
    pub sink: String,
    /// Its table.
    pub table: String,
    /// What was looked for.
    pub state: Wanted,
    /// The events: oldest first; of those that wait, the ones tried next first.
    pub rows: Vec<Row>,
    /// What the running service counts; null without one.
    pub overview: Option<Overview>,
    /// How it marks; null without one.
    pub marker: Option<MarkerStatus>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let text = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
            let aggregate = format!("{}/{}", text(&row.aggregate_type), text(&row.aggregate_id));
            let attempts = row.attempts.map_or("-".into(), |n| n.to_string());
            let (kind, at) = (text(&row.event_type), text(&row.available_at));
            writeln!(f, "{} {aggregate} {kind} from {at}, attempts {attempts}: {}", row.id, text(&row.last_error))?;
        }
        if self.rows.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// Lists events.
pub async fn list(outbox: &Outbox, query: &Query) -> Result<Listing, Refusal> {
    let rows = match (query.state, &outbox.status) {
        (Wanted::Parked, Some(status)) => parked(status.parked(), query),
        (Wanted::Parked, None) => {
            let hint = "start it with pgtape run; the table's own view is --state undelivered";
            return Err(Refusal::new(Kind::Unreachable, "only the running service knows which events wait", hint));
        }
        (Wanted::Dead | Wanted::Undelivered, _) => in_table(outbox, query).await?,
    };
    Ok(Listing {
        sink: outbox.sink.clone(),
        table: outbox.settings.table.to_string(),
        state: query.state,
        rows,
        overview: outbox.status.as_ref().map(|status| status.overview()),
        marker: outbox.status.as_ref().map(|status| status.marker()),
    })
}

fn parked(rows: Vec<ParkedRow>, query: &Query) -> Vec<Row> {
    let meant = |row: &ParkedRow| match &query.aggregate {
        None => true,
        Some((kind, id)) => row.aggregate_type.as_ref() == Some(kind) && row.aggregate_id.as_ref() == Some(id),
    };
    let shown = |row: ParkedRow| Row {
        id: row.id,
        aggregate_type: row.aggregate_type,
        aggregate_id: row.aggregate_id,
        event_type: row.event_type,
        attempts: Some(row.attempts.into()),
        last_error: row.last_error,
        available_at: jiff::Timestamp::from_microsecond(row.due_us).ok().map(|time| time.to_string()),
    };
    rows.into_iter().filter(meant).take(query.limit).map(shown).collect()
}

async fn in_table(outbox: &Outbox, query: &Query) -> Result<Vec<Row>, Refusal> {
    let (settings, columns) = (&outbox.settings, &outbox.settings.columns);
    let which = match (query.state, &columns.status) {
        (Wanted::Dead, None) => {
            let what = format!("{} has no column of the status: it cannot say which events are dead", settings.table);
            let hint = format!("read the topic {}; or name the column", settings.dead_letter);
            return Err(Refusal::new(Kind::Usage, what, hint));
        }
        (Wanted::Dead, Some(status)) => format!("{}::text = {}", identifier(status), literal(&settings.status.dead)),
        (Wanted::Undelivered | Wanted::Parked, _) => open_condition(settings, ""),
    };
    let text = |name: &str| format!("{}::text", identifier(name));
    let maybe = |name: &Option<String>, cast: &str| {
        name.as_ref().map_or(format!("NULL::{cast}"), |name| format!("{}::{cast}", identifier(name)))
    };
    let (kind, id) = (text(&columns.aggregate_type), text(&columns.aggregate_id));
    let sql = format!(
        "SELECT {}, {kind}, {id}, {}, {}, {}, {} FROM {} WHERE {which} AND ($1::text IS NULL OR {kind} = $1) \
         AND ($2::text IS NULL OR {id} = $2) ORDER BY {} LIMIT $3",
        text(&columns.id),
        text(&columns.event_type),
        maybe(&columns.attempts, "bigint"),
        maybe(&columns.last_error, "text"),
        maybe(&columns.available_at, "text"),
        pg::table(&settings.table),
        identifier(&columns.id),
    );
    let (session, _) = outbox.session(&outbox.address).await?;
    let (kind, id) = query.aggregate.as_ref().map(|(kind, id)| (kind, id)).unzip();
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let rows = session.query(&sql, &[&kind, &id, &limit]).await;
    let rows = rows.map_err(|error| outbox.refusal(error.into(), "list the outbox"))?;
    let row = |row: tokio_postgres::Row| Row {
        id: row.get(0),
        aggregate_type: row.get(1),
        aggregate_id: row.get(2),
        event_type: row.get(3),
        attempts: row.get(4),
        last_error: row.get(5),
        available_at: row.get(6),
    };
    Ok(rows.into_iter().map(row).collect())
}
