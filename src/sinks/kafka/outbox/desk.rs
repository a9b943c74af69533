//! Between the feed and whoever works in Postgres for it: marks to be written, bodies to be read, and what is shown.
//!
//! Invariants: only what is committed to Kafka is given out to be marked; nobody waits while holding the lock; what is
//! shown is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::parked::Body;

/// Rows that wait, shown at most.
pub const SHOWN_MAX: usize = 1_000;
/// Memory of a mark beside its texts.
const OVERHEAD_BYTES: u64 = 160;

/// How an event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In its topic.
    Delivered,
    /// In the dead-letter topic, for this reason.
    Dead(String),
}

/// What is to be written to the row of an event that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
    /// Attempts, the last one counted.
    pub attempts: u32,
    /// How.
    pub outcome: Outcome,
}

/// What is to be written to the row of an event whose attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: String,
}

/// What was found of a row whose body was asked for.
#[derive(Debug, Clone)]
pub enum Found {
    /// Its payload and headers.
    Body(Body),
    /// The row is gone.
    Gone,
}

/// A row that waits, as shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParkedRow {
    /// Its id.
    pub id: String,
    /// Its aggregate's type.
    pub aggregate_type: Option<String>,
    /// Its aggregate's id.
    pub aggregate_id: Option<String>,
    /// Its type.
    pub event_type: Option<String>,
    /// Failed attempts.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When it is tried next, if nothing is before it: microseconds since the Unix epoch.
    pub due_us: i64,
}

/// How many there are of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Overview {
    /// Rows that wait.
    pub parked: usize,
    /// Events delivered since the start.
    pub delivered: u64,
    /// Events dead-lettered since the start.
    pub dead: u64,
    /// Events that ended and whose mark has not come back over the tape.
    pub unseen: usize,
}

/// How the marker is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct MarkerStatus {
    /// Marks that Postgres has not taken yet.
    pub unmarked: usize,
    /// Bytes of them.
    pub unmarked_bytes: u64,
    /// Marks written since the start.
    pub written: u64,
    /// Why the last try failed; none once one succeeded.
    pub error: Option<String>,
}

/// The desk. One a sink, for the life of the process; a new feed clears it.
#[derive(Debug, Default)]
pub struct Desk {
    state: Mutex<State>,
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    marks: BTreeMap<Arc<str>, Mark>,
    failures: BTreeMap<Arc<str>, Failed>,
    wanted: BTreeSet<Arc<str>>,
    found: Vec<(Arc<str>, Found)>,
    unmarked_bytes: u64,
    written: u64,
    error: Option<String>,
    shown: Vec<ParkedRow>,
    overview: Overview,
}

/// Work for the marker.
#[derive(Debug, Default, Clone)]
pub struct Work {
    pub marks: Vec<(Arc<str>, Mark)>,
    pub failures: Vec<(Arc<str>, Failed)>,
    pub wanted: Vec<Arc<str>>,
}

impl Work {
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.failures.is_empty() && self.wanted.is_empty()
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Whether no more marks wait than may.
    pub(super) fn has_room(&self, unmarked_bytes_max: u64) -> bool {
        self.state().unmarked_bytes <= unmarked_bytes_max
    }

    /// A new feed begins: what an earlier one left is not to be believed.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        let (written, overview) = (state.written, Overview { parked: 0, unseen: 0, ..state.overview.clone() });
        *state = State { written, overview, ..State::default() };
    }

    /// The row is to be marked, or need not be any more.
    pub(super) fn set_mark(&self, id: &Arc<str>, mark: Option<&Mark>) {
        let mut state = self.state();
        state.failures.remove(id);
        if let Some(old) = state.marks.remove(id) {
            state.unmarked_bytes -= bytes(id, &old);
        }
        if let Some(mark) = mark {
            state.unmarked_bytes += bytes(id, mark);
            state.marks.insert(Arc::clone(id), mark.clone());
            self.work.notify_one();
        }
    }

    /// The row's failed attempt is to be written.
    pub(super) fn set_failure(&self, id: &Arc<str>, failed: Failed) {
        self.state().failures.insert(Arc::clone(id), failed);
        self.work.notify_one();
    }

    /// The row's body is to be read.
    pub(super) fn want(&self, id: &Arc<str>) {
        self.state().wanted.insert(Arc::clone(id));
        self.work.notify_one();
    }

    /// What was read.
    pub(super) fn take_found(&self) -> Vec<(Arc<str>, Found)> {
        std::mem::take(&mut self.state().found)
    }

    /// What the feed knows now.
    pub(super) fn show(&self, rows: Vec<ParkedRow>, overview: Overview) {
        let mut state = self.state();
        (state.shown, state.overview) = (rows, overview);
    }

    /// Up to `max` of each kind of work; it stays on the desk until it is done.
    pub(super) fn work(&self, max: usize) -> Work {
        let state = self.state();
        let pair = |(id, value): (&Arc<str>, &Mark)| (Arc::clone(id), value.clone());
        let failure = |(id, value): (&Arc<str>, &Failed)| (Arc::clone(id), value.clone());
        Work {
            marks: state.marks.iter().take(max).map(pair).collect(),
            failures: state.failures.iter().take(max).map(failure).collect(),
            wanted: state.wanted.iter().take(max).map(Arc::clone).collect(),
        }
    }

    /// Waits until there may be work.
    pub(super) async fn woken(&self) {
        self.work.notified().await;
    }

    /// That work was done. What has changed since it was taken stays.
    pub(super) fn done(&self, work: &Work, found: Vec<(Arc<str>, Found)>) {
        let mut state = self.state();
        for (id, mark) in &work.marks {
            if state.marks.get(id) == Some(mark) {
                state.marks.remove(id);
                state.unmarked_bytes -= bytes(id, mark);
                state.written += 1;
            }
        }
        for (id, failed) in &work.failures {
            if state.failures.get(id) == Some(failed) {
                state.failures.remove(id);
            }
        }
        for (id, found) in found {
            if state.wanted.remove(&id) {
                state.found.push((id, found));
            }
        }
        state.error = None;
    }

    /// The work could not be done.
    pub(super) fn failed(&self, error: String) {
        self.state().error = Some(error);
    }
}

fn bytes(id: &str, mark: &Mark) -> u64 {
    let reason = match &mark.outcome {
        Outcome::Delivered => 0,
        Outcome::Dead(reason) => reason.len(),
    };
    OVERHEAD_BYTES + u64::try_from(id.len() + reason).unwrap_or(u64::MAX / 2)
}

/// What others see of an outbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusHandle {
    desk: Arc<Desk>,
    unmarked_bytes_max: u64,
}

impl StatusHandle {
    /// Of the outbox that uses this desk; `unmarked_bytes_max` as configured.
    #[must_use]
    pub fn new(desk: Arc<Desk>, unmarked_bytes_max: u64) -> Self {
        Self { desk, unmarked_bytes_max }
    }

    /// Whether the tape may be read on. False while more marks wait for Postgres than are allowed.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.desk.has_room(self.unmarked_bytes_max)
    }

    /// How many there are of what.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.desk.state().overview.clone()
    }

    /// How the marker is doing.
    #[must_use]
    pub fn marker(&self) -> MarkerStatus {
        let state = self.desk.state();
        MarkerStatus {
            unmarked: state.marks.len(),
            unmarked_bytes: state.unmarked_bytes,
            written: state.written,
            error: state.error.clone(),
        }
    }

    /// Rows that wait: those that are tried next, then those behind them; up to `SHOWN_MAX`.
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedRow> {
        self.desk.state().shown.clone()
    }
}
