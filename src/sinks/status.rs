//! How the sinks are doing, for people and for metrics.

use std::sync::{Mutex, PoisonError};

use crate::model::Position;

/// What a sink is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Reading its checkpoint or its position.
    Starting,
    /// Behind the tape's end and working through it.
    CatchingUp,
    /// At the tape's end.
    Following,
    /// Held by `verify` or an operator.
    Held,
    /// Its server does not answer, or another writer was there: it tries again.
    Retrying,
    /// It has ended.
    Stopped,
}

impl State {
    /// The name in JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::CatchingUp => "catching_up",
            State::Following => "following",
            State::Held => "held",
            State::Retrying => "retrying",
            State::Stopped => "stopped",
        }
    }
}

/// The state of one sink, set by its thread and read by others.
#[derive(Debug)]
pub(super) struct StateCell(Mutex<State>);

impl StateCell {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Starting))
    }

    pub(super) fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(super) fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One sink.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SinkStatus {
    /// `standby`, or the roll-up's name.
    pub sink: String,
    /// What it is doing.
    pub state: State,
    /// Everything up to here has had its effect. A roll-up commits a position only with an effect, so it also counts as
    /// being here when nothing since then concerned it.
    pub position: Position,
    /// The epoch of that position.
    pub epoch: u32,
    /// Commit time of the last transaction in it, microseconds since the Unix epoch; 0 before the first.
    pub commit_time_us: i64,
    /// The position committed with an effect (a roll-up's row in `pgtape.sink_position`).
    pub committed: Option<Position>,
    /// A roll-up's generation.
    pub generation: Option<i64>,
    /// Rows that this sink cannot use.
    pub quarantined: u64,
    /// Rows that it ever could not use, since the data directory began; never falls.
    pub quarantined_total: u64,
    /// What is wrong, if something is.
    pub error: Option<String>,
}
