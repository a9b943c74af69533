//! The statements on an outbox's table.
//!
//! Invariant: none of them touches a row twice: what is delivered is not marked again, and what is marked by somebody
//! else is left alone. Ids go as text and are cast to the column's type, so that its index is used.

use std::collections::HashMap;

use crate::config::KafkaOutbox;
use crate::pg::{self, Session, identifier, literal};
use crate::refusal::{Kind, Refusal};

/// The statements, for the types that the table has.
#[derive(Debug, Clone)]
pub struct Statements {
    /// `$1` ids, `$2` times as text, `$3` attempts. `None` when there is nothing to mark.
    pub delivered: Option<String>,
    /// `$1` ids, `$2` reasons, `$3` attempts.
    pub dead: Option<String>,
    /// `$1` ids, `$2` errors, `$3` attempts.
    pub failed: Option<String>,
    /// `$1` ids; answers id, payload as bytes, headers as text.
    pub read: String,
}

/// The types of an outbox's columns, as SQL writes them.
#[derive(Debug, Clone)]
pub struct Types(HashMap<String, String>);

impl Types {
    /// Asks the catalog; refuses a table that is not there, or lacks a column that was named.
    pub async fn of(session: &Session, settings: &KafkaOutbox) -> Result<Self, pg::Error> {
        let sql = "SELECT a.attname::text, format_type(a.atttypid, NULL) FROM pg_attribute a \
                   JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped";
        let table = &settings.table;
        let rows = session.query(sql, &[&&*table.schema, &&*table.name]).await?;
        let types = Self(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect());
        if types.0.is_empty() {
            let what = format!("there is no table {table}, or it may not be seen");
            return Err(
                Refusal::new(Kind::Server, what, "check kafka.outbox.table, and the database of the address").into()
            );
        }
        match settings.columns.named().find(|name| !types.0.contains_key(*name)) {
            None => Ok(types),
            Some(name) => {
                let what = format!("the outbox {table} has no column {name}");
                Err(Refusal::new(Kind::Server, what, "name its columns in [kafka.outbox.columns]").into())
            }
        }
    }

    /// The type of a column that is there.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or("text", String::as_str)
    }
}

impl Statements {
    /// For this table.
    #[must_use]
    pub fn new(settings: &KafkaOutbox, types: &Types) -> Self {
        let columns = &settings.columns;
        let table = pg::table(&settings.table);
        let id = identifier(&columns.id);
        let ids = format!("$1::text[]::{}[]", types.get(&columns.id));
        let attempts = columns.attempts.as_ref().map(|name| format!("{} = m.attempts", identifier(name)));
        let error = columns.last_error.as_ref();
        let open = open_condition(settings, "t.");
        let update = |set: Vec<Option<String>>| {
            let set: Vec<String> = set.into_iter().flatten().collect();
            (!set.is_empty() && columns.marked()).then(|| {
                format!(
                    "UPDATE {table} AS t SET {} FROM unnest({ids}, $2::text[], $3::integer[]) AS m (id, said, attempts) \
                     WHERE t.{id} = m.id AND {open}",
                    set.join(", ")
                )
            })
        };
        let flag = columns.delivered.as_ref().map(|name| format!("{} = true", identifier(name)));
        let status =
            |value: &str| columns.status.as_ref().map(|name| format!("{} = {}", identifier(name), literal(value)));
        let published = columns.published_at.as_ref();
        let published = published.map(|name| format!("{} = m.said::{}", identifier(name), types.get(name)));
        let why = error.map(|name| format!("{} = m.said", identifier(name)));
        let no_error = error.map(|name| format!("{} = NULL", identifier(name)));
        let payload = identifier(&columns.payload);
        let payload = match types.get(&columns.payload) {
            "bytea" => payload,
            _ => format!("convert_to({payload}::text, 'UTF8')"),
        };
        let headers =
            columns.headers.as_ref().map_or("NULL::text".into(), |name| format!("{}::text", identifier(name)));
        Self {
            delivered: update(vec![flag, status(&settings.status.delivered), published, attempts.clone(), no_error]),
            dead: update(vec![status(&settings.status.dead), attempts.clone(), why.clone()]),
            failed: update(vec![attempts, why]),
            read: format!("SELECT {id}::text, {payload}, {headers} FROM {table} WHERE {id} = ANY ({ids})"),
        }
    }
}

/// Whether a row is neither delivered nor dead; `prefix` stands before the columns. True where there is no column to say.
#[must_use]
pub fn open_condition(settings: &KafkaOutbox, prefix: &str) -> String {
    let columns = &settings.columns;
    let flag = columns.delivered.as_ref().map(|name| format!("{prefix}{} IS NOT TRUE", identifier(name)));
    let over = [&settings.status.delivered, &settings.status.dead].map(|value| literal(value)).join(", ");
    let status = columns.status.as_ref();
    let status = status.map(|name| format!("coalesce({prefix}{}::text, '') NOT IN ({over})", identifier(name)));
    let both: Vec<String> = flag.into_iter().chain(status).collect();
    if both.is_empty() { "true".into() } else { both.join(" AND ") }
}
