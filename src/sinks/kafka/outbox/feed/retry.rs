//! Rows that an operator names in a message.

use std::sync::Arc;

use serde::Deserialize;

use super::OutboxFeed;
use crate::model::Position;
use crate::pgoutput::Logical;
use crate::sinks::Error;
use crate::sinks::kafka::outbox::parked::{Aggregate, Body, Parked, Place};
use crate::sinks::kafka::outbox::time::ALWAYS;

/// The content of a retry message.
#[derive(Deserialize)]
struct Retry {
    table: String,
    rows: Vec<Retried>,
}

/// A row of it: for a table whose rows no update can reset, it has to say whose they are.
#[derive(Deserialize)]
pub(super) struct Retried {
    id: String,
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    event_type: Option<String>,
}

impl OutboxFeed {
    pub(super) fn retry_message(&mut self, logical: &Logical<'_>, at: Position) {
        match serde_json::from_slice::<Retry>(logical.content) {
            Ok(retry) if retry.table == self.settings.table.to_string() => {
                let rows = retry.rows.into_iter().map(|row| (row.id.clone(), (row, at)));
                self.unit.retried.extend(rows);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%at, %error, "a retry message cannot be understood and is passed over"),
        }
    }

    /// Rows that were to be retried and that no update has brought.
    pub(super) fn retry_the_rest(&mut self) -> Result<(), Error> {
        let mut rest: Vec<_> = std::mem::take(&mut self.unit.retried).into_values().collect();
        rest.sort_by_key(|(row, at)| (*at, row.id.parse::<i128>().ok(), row.id.clone()));
        for (within, (row, at)) in (0_i64..).zip(rest) {
            self.forget_lingering(&row.id);
            match self.known(&row.id) {
                Some(id) if self.settled.contains_key(&id) => {}
                Some(id) => self.hurry(&id),
                None => {
                    let parked = Parked {
                        place: Place { within, ..Place::of(at) },
                        aggregate: Arc::new(Aggregate { kind: row.aggregate_type, id: row.aggregate_id }),
                        event_type: row.event_type,
                        body: Body::Elsewhere,
                        available_us: ALWAYS,
                        retry_us: ALWAYS,
                        attempts: 0,
                        error: None,
                        at,
                    };
                    self.park(Arc::from(row.id), parked)?;
                }
            }
        }
        Ok(())
    }
}
