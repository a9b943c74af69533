//! Events tried again: a message that names them and the reset of their rows, in one transaction.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{BATCH_ROWS, Outbox};
use crate::ops::{Command, Plan};
use crate::pg::{self, Session, identifier, literal};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::outbox::{RETRY_PREFIX, Types, open_condition};

/// `pgtape outbox retry`.
pub struct Retry<'a> {
    /// The outbox.
    pub outbox: &'a Outbox,
    /// The events; empty for all dead ones.
    pub ids: &'a [String],
    /// How many were, once it is done.
    pub retried: OnceLock<usize>,
}

/// Which rows, and how many of them.
struct Batch<'a> {
    ids: &'a [String],
    limit: i64,
}

impl Retry<'_> {
    /// Statement that finds the rows, with `$1` ids and `$2` the limit.
    fn find(&self, types: &Types) -> Result<String, Refusal> {
        let (settings, columns) = (&self.outbox.settings, &self.outbox.settings.columns);
        let id = identifier(&columns.id);
        let which = match (self.ids.is_empty(), &columns.status) {
            (false, _) => format!("{id} = ANY ($1::text[]::{}[])", types.get(&columns.id)),
            (true, Some(status)) => {
                format!("$1::text[] IS NOT NULL AND {}::text = {}", identifier(status), literal(&settings.status.dead))
            }
            (true, None) => {
                let what = format!("{} has no column of the status: it cannot say which are dead", settings.table);
                return Err(Refusal::new(Kind::Usage, what, "name the events by --id"));
            }
        };
        let text = |name: &str| format!("{}::text", identifier(name));
        Ok(format!(
            "SELECT {}, {}, {}, {}, ({}) FROM {} WHERE {which} ORDER BY {id} LIMIT $2",
            text(&columns.id),
            text(&columns.aggregate_type),
            text(&columns.aggregate_id),
            text(&columns.event_type),
            open_condition(settings, ""),
            pg::table(&settings.table),
        ))
    }

    /// Statement that resets rows, with `$1` ids; `None` where there is nothing to reset.
    fn reset(&self, types: &Types) -> Option<String> {
        let (settings, columns) = (&self.outbox.settings, &self.outbox.settings.columns);
        let set = |name: &Option<String>, value: &str| Some(format!("{} = {value}", identifier(name.as_ref()?)));
        let set: Vec<String> = [
            set(&columns.delivered, "false"),
            set(&columns.status, &literal(&settings.status.pending)),
            set(&columns.attempts, "0"),
            set(&columns.last_error, "NULL"),
            set(&columns.claimed_at, "NULL"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let id = identifier(&columns.id);
        (!set.is_empty()).then(|| {
            format!(
                "UPDATE {} SET {} WHERE {id} = ANY ($1::text[]::{}[])",
                pg::table(&settings.table),
                set.join(", "),
                types.get(&columns.id)
            )
        })
    }

    /// One transaction; the rows that were found.
    async fn batch(&self, session: &mut Session, types: &Types, batch: &Batch<'_>) -> Result<usize, Refusal> {
        let find = format!("{} FOR UPDATE", self.find(types)?);
        let reset = self.reset(types);
        let work = async {
            let transaction = session.transaction().await?;
            let rows = transaction.query(&find, &[&batch.ids, &batch.limit]).await?;
            let named = |row: &tokio_postgres::Row| {
                let text = |at| row.get::<_, Option<String>>(at);
                json!({"id": text(0), "aggregate_type": text(1), "aggregate_id": text(2), "event_type": text(3)})
            };
            let named: Vec<Value> = rows.iter().map(named).collect();
            let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let content = json!({"table": self.outbox.settings.table.to_string(), "rows": named}).to_string();
            let emit = "SELECT pg_logical_emit_message(true, $1, $2)";
            transaction.query_one(emit, &[&RETRY_PREFIX, &content]).await?;
            if let Some(reset) = &reset {
                transaction.execute(reset, &[&ids]).await?;
            }
            transaction.commit().await?;
            Ok(ids.len())
        };
        work.await.map_err(|error: tokio_postgres::Error| self.outbox.refusal(error.into(), "retry events"))
    }
}

impl Command for Retry<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let (session, types) = self.outbox.session(&self.outbox.address).await?;
        let find = self.find(&types)?;
        let rows = session.query(&find, &[&self.ids, &i64::MAX]).await;
        let rows = rows.map_err(|error| self.outbox.refusal(error.into(), "look for the events"))?;
        let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let table = &self.outbox.settings.table;
        if let Some(gone) = self.ids.iter().find(|id| !there.contains(id)) {
            return Err(Refusal::new(Kind::Usage, format!("{table} has no event {gone}"), "pgtape outbox list"));
        }
        let over = rows.iter().filter(|row| !row.get::<_, bool>(4)).count();
        let mut consequences = Vec::new();
        if over > 0 {
            consequences
                .push(format!("{over} of them are delivered or dead: whoever reads their topics may see them twice"));
        }
        if there.is_empty() {
            return Err(Refusal::new(Kind::Usage, format!("no event of {table} is dead"), "name events by --id"));
        }
        let detail = json!({"sink": self.outbox.sink, "events": there.len(), "ids": self.ids});
        let steps = vec![format!(
            "have {} events of {table} produced again, in their aggregates' order from now on",
            there.len()
        )];
        Ok(Plan { command: "outbox retry".into(), steps, consequences, obstacle: None, detail })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let (mut session, types) = self.outbox.session(&self.outbox.address).await?;
        let size = usize::try_from(BATCH_ROWS).unwrap_or(1);
        let mut retried = 0;
        if self.ids.is_empty() {
            loop {
                let found = self.batch(&mut session, &types, &Batch { ids: &[], limit: BATCH_ROWS }).await?;
                retried += found;
                if found < size {
                    break;
                }
            }
        }
        for ids in self.ids.chunks(size) {
            retried += self.batch(&mut session, &types, &Batch { ids, limit: BATCH_ROWS }).await?;
        }
        self.retried.set(retried).map_err(|_| Refusal::new(Kind::Locked, "it was done already", ""))
    }
}
