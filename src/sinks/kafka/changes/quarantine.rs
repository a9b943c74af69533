//! A record that cannot be produced: put aside with its place and the reason, or the end of its topic.

use super::settings::Unfitting;
use super::{Changes, Error, Out, Produce, PutError, Spot};
use crate::model::{Position, TableName};

impl Changes {
    /// The change at the spot cannot be produced.
    pub(super) fn unfit(&mut self, spot: Spot<'_>, why: &str, out: &mut dyn Out) -> Result<(), Error> {
        let Spot { table, topic, at, part } = spot;
        self.quarantined += 1;
        if self.settings.unfit == Unfitting::Stop {
            let why = format!("the change at {at} cannot be produced: it {why}");
            self.stop_topic(table, why, None);
            return Ok(());
        }
        tracing::warn!(%table, position = %at, why, "a change goes to the topic of quarantine");
        let value = serde_json::json!({
            "topic": topic, "table": table, "position": at, "reason": why,
            "commit_time_us": self.unit.commit_time_us.to_string(),
        });
        let (key, value) = (table.to_string(), value.to_string());
        let produce = Produce {
            topic: &self.settings.quarantine_topic,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
            position: at,
            part,
        };
        match out.put(&produce) {
            Ok(()) => Ok(()),
            Err(PutError::Ended(error)) => Err(error),
            Err(PutError::Unfit(why)) => {
                let why = format!("the topic of quarantine cannot take the change at {at}: it {why}");
                self.stop_topic(table, why, None);
                Ok(())
            }
        }
    }

    /// Nothing more of `table` is produced; the change at hand and all after it are still owed. `emptied` is the change that
    /// emptied the table, if that is why.
    pub(super) fn stop_topic(&mut self, table: &TableName, why: String, emptied: Option<Position>) {
        self.stopped.stop(table, self.done(), why, emptied);
        self.routes.retain(|_, route| route.as_ref().is_none_or(|route| route.relation.table != *table));
    }
}
