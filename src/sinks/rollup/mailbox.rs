//! Between the apply, which makes deltas, and the writer of one roll-up, which commits them: what is waiting, merged.
//!
//! While Postgres is slow or away, deltas of many transactions add up to one, in memory bounded by groups; when that bound
//! is reached the apply waits (ingest does not). Nothing is lost with it: the tape has everything after the position.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

use super::deltas::Deltas;
use super::maintain::{Effect, Point};
use crate::sinks::cursor::Stored;
use crate::sinks::status::State;

/// What is written in one transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) deltas: Deltas,
    pub(super) replace: bool,
    pub(super) to: Point,
    /// Captured tables had transactions since the last commit.
    pub(super) activity: bool,
}

#[derive(Debug)]
struct Inside {
    waiting: Batch,
    /// Commit a position at or after this point even without effect.
    demanded: Option<Point>,
    stored: Option<Stored>,
    committed_at: Instant,
    state: State,
    error: Option<String>,
    stuck: bool,
    fenced: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Mailbox {
    inside: Mutex<Inside>,
    /// For the writer: there is something to do.
    wake: Notify,
    /// For the apply: room was made, or something was committed.
    changed: std::sync::Arc<Notify>,
    bytes_max: usize,
}

/// A glance at a roll-up's writer.
#[derive(Debug, Clone)]
pub struct Glance {
    /// The stored position.
    pub stored: Option<Stored>,
    /// What the writer is doing.
    pub state: State,
    /// What is wrong, if something is.
    pub error: Option<String>,
    /// Whether nothing waits to be written.
    pub idle: bool,
}

/// When a position without effect is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Now.
    Now,
    /// Deltas wait, and may be joined by more for a moment.
    Soon,
    /// Nothing to do, but there was activity: when the last commit is old enough.
    WhenOld(Instant),
    /// Nothing to do.
    No,
}

/// The mailboxes of the roll-ups, by name; others after each start of the delivery.
pub type Mailboxes = Arc<Mutex<Vec<(String, Arc<Mailbox>)>>>;

impl Mailbox {
    /// Empty, for a roll-up that stands at `stored`; tells `changed` what the apply may wait for.
    #[must_use]
    pub fn new(stored: Option<Stored>, bytes_max: usize, changed: std::sync::Arc<Notify>) -> Self {
        let to = stored.as_ref().map_or((0, crate::model::Lsn::ZERO), Stored::point);
        let inside = Inside {
            waiting: Batch { to, ..Batch::default() },
            demanded: None,
            stored,
            committed_at: Instant::now(),
            state: State::Following,
            error: None,
            stuck: false,
            fenced: false,
        };
        Self { inside: Mutex::new(inside), wake: Notify::new(), changed, bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nobody panics while holding it")
    }

    /// Hands over an effect; with it the target stands at `to`.
    pub fn offer(&self, effect: Effect, to: Point, activity: bool) {
        let mut inside = self.lock();
        let waiting = &mut inside.waiting;
        if effect.replace {
            waiting.deltas = Deltas::default();
            waiting.replace = true;
        }
        waiting.deltas.merge(&effect.deltas, true);
        waiting.to = to;
        waiting.activity |= activity;
        drop(inside);
        self.wake.notify_one();
    }

    /// Asks for a position at or after `point`, even without effect.
    pub fn demand(&self, point: Point) {
        let mut inside = self.lock();
        if inside.stored.as_ref().is_none_or(|stored| !stored.holds(point.1)) {
            inside.demanded = Some(point);
            self.wake.notify_one();
        }
    }

    /// Whether more may be offered: there is room, and the position is still ours.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let inside = self.lock();
        inside.waiting.deltas.bytes() < self.bytes_max && !inside.fenced
    }

    /// Whether another writer moved the position.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.lock().fenced
    }

    /// Whether the stored position is at or after `point`.
    #[must_use]
    pub fn has_reached(&self, point: Point) -> bool {
        self.lock().stored.as_ref().is_some_and(|stored| stored.holds(point.1))
    }

    /// Why writing fails until somebody does something.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let inside = self.lock();
        inside.error.clone().filter(|_| inside.stuck)
    }

    /// How it is doing.
    #[must_use]
    pub fn glance(&self) -> Glance {
        let inside = self.lock();
        let idle = inside.waiting.deltas.is_empty() && !inside.waiting.replace;
        let (stored, error) = (inside.stored.clone(), inside.error.clone());
        Glance { stored, state: inside.state, error, idle }
    }

    /// Waits until something was put in.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What is to be done when.
    pub(super) fn due(&self) -> Due {
        let inside = self.lock();
        let demanded = inside.demanded.is_some_and(|point| inside.waiting.to.1 >= point.1);
        if inside.waiting.replace || demanded {
            Due::Now
        } else if !inside.waiting.deltas.is_empty() {
            if inside.waiting.deltas.bytes() >= self.bytes_max { Due::Now } else { Due::Soon }
        } else if inside.waiting.activity {
            Due::WhenOld(inside.committed_at)
        } else {
            Due::No
        }
    }

    /// Takes what waits.
    pub(super) fn take(&self) -> Batch {
        let mut inside = self.lock();
        let to = inside.waiting.to;
        let taken = std::mem::take(&mut inside.waiting);
        inside.waiting.to = to;
        drop(inside);
        self.changed.notify_one();
        taken
    }

    /// The stored position.
    pub(super) fn stored(&self) -> Option<Stored> {
        self.lock().stored.clone()
    }

    /// A position has been committed.
    pub(super) fn committed(&self, stored: Stored) {
        let mut inside = self.lock();
        if inside.demanded.is_some_and(|point| stored.holds(point.1)) {
            inside.demanded = None;
        }
        inside.stored = Some(stored);
        inside.committed_at = Instant::now();
        (inside.state, inside.error, inside.stuck) = (State::Following, None, false);
        drop(inside);
        self.changed.notify_one();
    }

    /// Writing failed; it is tried again. `stuck`: in vain, until somebody does something.
    pub(super) fn failing(&self, error: String, stuck: bool) {
        let mut inside = self.lock();
        (inside.state, inside.error, inside.stuck) = (State::Retrying, Some(error), stuck);
        drop(inside);
        self.changed.notify_one();
    }

    /// Writing is over, for good or until someone acts.
    pub fn stopped(&self, error: Option<String>, fenced: bool) {
        let mut inside = self.lock();
        (inside.state, inside.error, inside.fenced) = (State::Stopped, error, fenced);
        drop(inside);
        self.changed.notify_one();
    }
}
