//! Delivered events deleted by age.

use std::sync::OnceLock;

use serde_json::json;

use super::{BATCH_ROWS, Outbox};
use crate::config::Span;
use crate::ops::{Command, Plan};
use crate::pg::{self, identifier, literal};
use crate::refusal::{Kind, Refusal};

/// `pgtape outbox purge`.
pub struct Purge<'a> {
    /// The outbox.
    pub outbox: &'a Outbox,
    /// Delivered longer ago than this.
    pub older_than: Span,
    /// How many were deleted, once it is done.
    pub purged: OnceLock<u64>,
}

impl Purge<'_> {
    /// Whether a row is meant; `$1` is the age in seconds.
    fn condition(&self) -> Result<String, Refusal> {
        let (settings, columns) = (&self.outbox.settings, &self.outbox.settings.columns);
        let flag = columns.delivered.as_ref().map(|name| identifier(name));
        let status = columns.status.as_ref();
        let status = status.map(|name| format!("{}::text = {}", identifier(name), literal(&settings.status.delivered)));
        match (flag.or(status), &columns.published_at) {
            (Some(delivered), Some(published)) => {
                Ok(format!("{delivered} AND {} < now() - $1::bigint * interval '1 second'", identifier(published)))
            }
            _ => {
                let what = format!("{} does not say which events were delivered, and when", settings.table);
                Err(Refusal::new(Kind::Usage, what, "name the columns delivered (or status) and published_at"))
            }
        }
    }

    fn age_s(&self) -> i64 {
        i64::try_from(self.older_than.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl Command for Purge<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let table = &self.outbox.settings.table;
        let sql = format!("SELECT count(*) FROM {} WHERE {}", pg::table(table), self.condition()?);
        let (session, _) = self.outbox.session(&self.outbox.owner).await?;
        let row = session.query_one(&sql, &[&self.age_s()]).await;
        let count: i64 = row.map_err(|error| self.outbox.refusal(error.into(), "count the events"))?.get(0);
        Ok(Plan {
            command: "outbox purge".into(),
            steps: vec![format!(
                "delete {count} events of {table} that were delivered more than {} ago",
                self.older_than
            )],
            consequences: vec![
                "they cannot be retried any more; their records stay in Kafka as long as it keeps them".into(),
            ],
            obstacle: None,
            detail: json!({"sink": self.outbox.sink, "events": count, "older_than": self.older_than.to_string()}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let (table, id) = (pg::table(&self.outbox.settings.table), identifier(&self.outbox.settings.columns.id));
        let sql = format!(
            "DELETE FROM {table} WHERE {id} IN \
             (SELECT {id} FROM {table} WHERE {} ORDER BY {id} LIMIT $2 FOR UPDATE SKIP LOCKED)",
            self.condition()?
        );
        let (session, _) = self.outbox.session(&self.outbox.owner).await?;
        let mut purged = 0;
        loop {
            let deleted = session.execute(&sql, &[&self.age_s(), &BATCH_ROWS]).await;
            let deleted = deleted.map_err(|error| self.outbox.refusal(error.into(), "delete delivered events"))?;
            purged += deleted;
            if i64::try_from(deleted).unwrap_or(i64::MAX) < BATCH_ROWS {
                break;
            }
        }
        self.purged.set(purged).map_err(|_| Refusal::new(Kind::Locked, "it was done already", ""))
    }
}
