//! An event goes, or fails, or waits.

use std::sync::Arc;

use super::{OutboxFeed, SHOWN_AGE_US};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::feed::Out;
use crate::sinks::kafka::outbox::backoff;
use crate::sinks::kafka::outbox::desk::{Found, Mark, Outcome, ParkedRow, SHOWN_MAX};
use crate::sinks::kafka::outbox::parked::{Body, Parked};
use crate::sinks::kafka::outbox::record::{self, Event, Put};
use crate::sinks::kafka::outbox::time::ALWAYS;

impl OutboxFeed {
    /// Lets a row wait. When too much is held its body is left in the table, unless the table may lose it.
    pub(super) fn park(&mut self, id: Arc<str>, mut row: Parked) -> Result<(), Error> {
        let (alone, bodies) = self.waiting.bytes();
        let max = usize::try_from(self.settings.parked_bytes_max).unwrap_or(usize::MAX);
        let new = row.bytes_alone(&id);
        if alone + bodies + new + row.body.bytes() > max && self.settings.columns.marked() {
            row.body = Body::Elsewhere;
        }
        if alone + new > max || (!self.settings.columns.marked() && alone + bodies + new + row.body.bytes() > max) {
            let what =
                format!("{} rows of the outbox {} wait, and fill its memory", self.waiting.len(), self.settings.table);
            let hint = "see with `pgtape outbox list` why they wait; or raise kafka.outbox.parked_max, and start again";
            return Err(Refusal::new(Kind::Server, what, hint).into());
        }
        self.changed.insert(Arc::clone(&id));
        self.waiting.insert(id, row);
        Ok(())
    }

    /// Produces an event that does not wait (any more); it ends, or it waits for another attempt.
    pub(super) fn attempt(&mut self, id: &Arc<str>, mut row: Parked, out: &mut dyn Out) -> Result<(), Error> {
        let why = match record::put(&event(id, &row), &self.settings, out)? {
            Put::Taken => {
                self.settle(id, row.attempts, Outcome::Delivered);
                return Ok(());
            }
            Put::Unfit(why) => why,
        };
        row.attempts = row.attempts.saturating_add(1);
        row.error = Some(why.clone());
        if row.attempts >= self.settings.attempts_max {
            match record::put_dead(&event(id, &row), (&why, row.attempts), &self.settings, out)? {
                Put::Taken => {
                    tracing::warn!(table = %self.settings.table, id = &**id, reason = why, "an event is dead-lettered");
                    self.settle(id, row.attempts - 1, Outcome::Dead(why));
                    return Ok(());
                }
                Put::Unfit(dead) => row.error = Some(format!("{why}; and in {}: {dead}", self.settings.dead_letter)),
            }
        }
        let wait = backoff::wait_us(self.settings.backoff_first, self.settings.backoff_max, row.attempts);
        row.retry_us = self.clock_us().saturating_add(wait);
        self.park(Arc::clone(id), row)
    }

    /// An event has ended, after so many failed attempts.
    pub(super) fn settle(&mut self, id: &Arc<str>, failed: u32, outcome: Outcome) {
        match outcome {
            Outcome::Delivered => self.counts.delivered += 1,
            Outcome::Dead(_) => self.counts.dead += 1,
        }
        if self.settings.columns.marked() {
            let mark = Mark { at_us: self.clock_us(), attempts: failed.saturating_add(1), outcome };
            self.settled.insert(Arc::clone(id), mark);
        }
        self.changed.insert(Arc::clone(id));
    }

    /// Puts the bodies that were read where they belong.
    pub(super) fn take_found(&mut self, out: &mut dyn Out) -> Result<(), Error> {
        for (id, found) in self.desk.take_found() {
            match found {
                Found::Body(body) => self.waiting.answered(&id, Some(body)),
                Found::Gone if self.settings.columns.marked() => {
                    tracing::info!(table = %self.settings.table, id = &*id, "an event that waited is deleted");
                    self.forget(&id);
                }
                Found::Gone => {
                    if let Some(mut row) = self.waiting.remove(&id) {
                        row.body = Body::Held { payload: None, headers: None };
                        let why = "its payload was not kept, and the row is gone";
                        let event = event(&id, &row);
                        match record::put_dead(&event, (why, row.attempts), &self.settings, out)? {
                            Put::Taken => self.settle(&id, row.attempts, Outcome::Dead(why.into())),
                            Put::Unfit(dead) => {
                                row.body = Body::Elsewhere;
                                row.error = Some(format!("{why}; and in {}: {dead}", self.settings.dead_letter));
                                let max = self.settings.backoff_max;
                                row.retry_us = self.clock_us().saturating_add(backoff::wait_us(max, max, 1));
                                self.park(id, row)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows others what is known, now and then.
    pub(super) fn show(&mut self) {
        if self.shown_us != ALWAYS && self.now_us.saturating_sub(self.shown_us) < SHOWN_AGE_US {
            return;
        }
        self.shown_us = self.now_us;
        let shown = |(id, row): (Arc<str>, &Parked)| ParkedRow {
            id: id.to_string(),
            aggregate_type: row.aggregate.kind.clone(),
            aggregate_id: row.aggregate.id.clone(),
            event_type: row.event_type.clone(),
            attempts: row.attempts,
            last_error: row.error.clone(),
            due_us: row.due_us(),
        };
        let rows = self.waiting.soonest(SHOWN_MAX).into_iter().map(shown).collect();
        (self.counts.parked, self.counts.unseen) = (self.waiting.len(), self.settled.len());
        self.desk.show(rows, self.counts.clone());
    }
}

fn event<'a>(id: &'a str, row: &'a Parked) -> Event<'a> {
    let (payload, headers) = match &row.body {
        Body::Held { payload, headers } => (payload.as_deref(), headers.as_deref()),
        Body::Elsewhere => unreachable!("a body is read before its event is produced"),
    };
    Event { id, aggregate: &row.aggregate, event_type: row.event_type.as_deref(), payload, headers, at: row.at }
}
