//! One session's work: units in, Kafka transactions out.

use std::time::{Duration, Instant};

use super::handle::Handle;
use super::sender::Sender;
use crate::model::{Lsn, Position};
use crate::pgoutput::{Message, decode};
use crate::sinks::Error;
use crate::sinks::kafka::feed::{Feed, Notes};
use crate::sinks::kafka::progress::{Keys, Progress};
use crate::sinks::kafka::report::Transacted;
use crate::sinks::kafka::settings::{Delivery, Settings};
use crate::sinks::status::State;
use crate::tape::{Head, Kind, Messages, Transaction};

/// A position without records is committed after so much time, so that it does not fall behind what the tape keeps.
const QUIET: Duration = Duration::from_secs(10);
/// Notes without records are committed after so much time.
const NOTES: Duration = Duration::from_millis(500);
/// A broker that has not acknowledged for so long is told of in status and alarms.
const SLOW: Duration = Duration::from_secs(5);
/// Notes of topics that have been produced to.
pub(super) const TOPIC_NOTE: &str = "topic/";

/// What a session works with, but for the reader of the tape.
pub(super) struct Work<'a> {
    pub(super) settings: &'a Settings,
    pub(super) keys: &'a Keys,
    pub(super) handle: &'a Handle,
    pub(super) sender: Sender<'a>,
    pub(super) feed: Box<dyn Feed>,
    /// What is committed.
    pub(super) committed: Progress,
    /// What will be, with what is open.
    pub(super) progress: Progress,
    pub(super) committed_at: Instant,
    pub(super) stop: &'a dyn Fn() -> bool,
    pub(super) clock: fn() -> i64,
}

impl Work<'_> {
    /// Takes in the messages that describe tables.
    pub(super) fn preamble(&mut self, mut messages: Messages<'_>) -> Result<(), Error> {
        while let Some((_, raw)) = messages.next_message()? {
            self.feed.preamble(decode(raw)?)?;
        }
        Ok(())
    }

    /// Produces one unit.
    pub(super) fn unit(&mut self, mut transaction: Transaction<'_>) -> Result<(), Error> {
        let head = transaction.head().clone();
        if self.sender.would_exceed(head.messages, head.bytes) {
            self.commit()?;
        }
        self.feed.begin(&head, &mut self.sender)?;
        let mut op = 0;
        while let Some((lsn, raw)) = transaction.next_message()? {
            let message = decode(raw)?;
            let ops = message.ops();
            self.message(&head, lsn, &message, op)?;
            op += ops;
            if ops > 0 && self.sender.is_full() {
                self.split(Position::at(head.end_lsn, op - 1))?;
            }
        }
        self.feed.commit(&head, &mut self.sender)?;
        self.sender.done = None;
        self.passed(&head);
        Ok(())
    }

    /// Commits in mid-unit: everything up to `at` is done.
    fn split(&mut self, at: Position) -> Result<(), Error> {
        if at > self.progress.position {
            self.progress.position = at;
            return self.commit();
        }
        // A unit of the past: the feed's own note must say the whole of it, so it is not split.
        Ok(())
    }

    /// Produces one unit of the past: the sink stays where it stands.
    pub(super) fn unit_beside(&mut self, transaction: Transaction<'_>, stands: &Progress) -> Result<(), Error> {
        let done = self.unit(transaction);
        self.progress = stands.counting(&self.progress);
        done
    }

    /// Gives one message to the feed.
    pub(super) fn message(&mut self, head: &Head, lsn: Lsn, message: &Message<'_>, op: u64) -> Result<(), Error> {
        let at = match head.kind {
            Kind::Message => Position::whole(head.end_lsn),
            Kind::Stream | Kind::Copy | Kind::Refresh => Position::at(head.end_lsn, op),
        };
        self.feed.message(lsn, message, at, &mut self.sender)
    }

    fn passed(&mut self, head: &Head) {
        self.progress.position = Position::whole(head.end_lsn);
        self.progress.epoch = head.epoch;
        if head.kind == Kind::Stream {
            self.progress.last_commit = Some(head.end_lsn);
            self.progress.commit_time_us = head.commit_time_us;
        }
    }

    /// Nothing happened up to `lsn`.
    pub(super) fn nothing_until(&mut self, lsn: Lsn) {
        self.progress.position = Position::whole(lsn);
    }

    /// Whether the open transaction should be committed before more comes.
    pub(super) fn is_due(&self) -> bool {
        self.sender.is_full() || self.sender.is_old()
    }

    /// When, at the tape's end, something should be committed; `None`: there is nothing.
    pub(super) fn commit_at(&self) -> Option<Instant> {
        match &self.sender.open {
            Some(open) => Some(open.since),
            None if self.feed.has_notes() => Some(self.committed_at + NOTES),
            None => (self.progress != self.committed).then(|| self.committed_at + QUIET),
        }
    }

    /// How long the next transaction should not begin yet: a coordinator that still ends the last one sends whoever comes
    /// away, for longer than this; and more is gathered meanwhile. Without transactions nobody is waited for.
    pub(super) fn rest(&self) -> Option<Duration> {
        if self.settings.delivery == Delivery::AtLeastOnce {
            return None;
        }
        let left = self.settings.bounds.linger.checked_sub(self.committed_at.elapsed())?;
        (self.sender.open.is_none() && !left.is_zero()).then_some(left)
    }

    /// Commits what is open, and the position with it; if nothing is open, the position alone.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        fail::fail_point!("kafka::before-progress");
        self.feed.write_notes(&mut self.sender)?;
        for topic in std::mem::take(&mut self.sender.new) {
            self.sender.note(&format!("{TOPIC_NOTE}{topic}"), Some(b"{}"))?;
        }
        self.progress.quarantined += self.feed.quarantined();
        self.progress.records += self.sender.open.map_or(0, |open| open.records);
        self.sender.send_plain(self.keys.progress(), Some(&self.progress.encode()))?;
        fail::fail_point!("kafka::before-flush");
        let stop = self.stop;
        let (began, handle, told) = (Instant::now(), self.handle, std::cell::Cell::new(false));
        let flushed = self.sender.producer.flush(|| {
            if began.elapsed() > SLOW {
                let why = format!("Kafka has not acknowledged records for {} s", began.elapsed().as_secs());
                if !told.replace(true) {
                    tracing::warn!(why, "waiting for Kafka");
                }
                handle.update(|report| (report.state, report.error) = (State::Retrying, Some(why)));
            }
            !stop()
        });
        self.sender.keep(flushed)?;
        fail::fail_point!("kafka::before-commit");
        let committed = self.sender.producer.commit();
        self.sender.keep(committed)?;
        fail::fail_point!("kafka::after-commit");
        self.feed.committed();
        self.committed = self.progress.clone();
        self.committed_at = Instant::now();
        self.report();
        Ok(())
    }

    /// Says where it stands.
    pub(super) fn report(&mut self) {
        let open = self.sender.open.take();
        let (stand, stopped) = (&self.committed, self.feed.stopped());
        let at_us = (self.clock)();
        self.handle.update(|report| {
            (report.position, report.committed) = (stand.position, stand.position);
            report.epoch = stand.epoch;
            report.commit_time_us = stand.commit_time_us;
            report.moves = stand.moves;
            report.records = stand.records;
            report.quarantined = stand.quarantined;
            report.stopped = stopped;
            if report.state == State::Retrying {
                (report.state, report.error) = (State::CatchingUp, None);
            }
            let Some(open) = open.filter(|open| open.records > 0) else { return };
            let took_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            report.last = Some(Transacted { at_us, records: open.records, bytes: open.bytes, took_ms });
            report.bytes += open.bytes;
            report.transactions += 1;
        });
    }
}
