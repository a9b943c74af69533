//! What a writer tells about itself. The families themselves live with the engines whose dashboards read them.

use std::time::Duration;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed by this call.
    Applied,
    /// An earlier attempt, or an earlier call with the same key, had committed it.
    Repeated,
    /// Refused by Postgres, or by an optimistic lock.
    Rejected,
    /// No answer in time.
    Unanswered,
}

impl Outcome {
    /// The value of a `result` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Repeated => "repeated",
            Outcome::Rejected => "rejected",
            Outcome::Unanswered => "unanswered",
        }
    }
}

/// Is told of every write. Called on the engine's own path: count, do not wait.
pub trait Observer: Send + Sync {
    /// A write was asked for; `op` is the event as `schema.event`.
    fn started(&self, op: &'static str);
    /// It ended, `elapsed` after it was asked for.
    fn finished(&self, op: &'static str, outcome: Outcome, elapsed: Duration);
    /// The caller took no interest any more: the write was cancelled, and whether it is committed is not known.
    fn abandoned(&self, _op: &'static str) {}
    /// An attempt failed and will be repeated.
    fn retried(&self, _op: &'static str) {}
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn started(&self, _op: &'static str) {}
    fn finished(&self, _op: &'static str, _outcome: Outcome, _elapsed: Duration) {}
}
