//! Deletes sealed segments that history and sinks have passed, and looks at the disk budget.
//!
//! Invariant: what a sink needs is never deleted here; beyond the budget history is shortened, and an alarm stands when
//! that is not enough.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::tape::{self, Pins, Policy, Retained, Usage, Watermark};

/// How often the size of the tape is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Segments are deleted once in so many looks.
const LOOKS_A_ROUND: u32 = 5;

/// What the last look found.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings(Arc<Mutex<Option<Usage>>>);

impl Findings {
    /// Size and extent of the tape; `None` before the first look.
    pub fn usage(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, usage: Usage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }
}

/// A tape that is kept within its bounds.
#[derive(Clone)]
pub(super) struct Retention {
    pub tape: config::Tape,
    pub watermark: Watermark,
    pub pins: Pins,
    pub findings: Findings,
}

impl Retention {
    /// Looks and rounds until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        for look in 0_u32.. {
            let (work, deletes) = (self.clone(), look % LOOKS_A_ROUND == 0);
            let round = tokio::task::spawn_blocking(move || match deletes {
                true => work.round(),
                false => tape::usage(&work.tape.dir),
            });
            match round.await {
                Ok(Ok(usage)) => self.findings.set(usage),
                Ok(Err(error)) => tracing::warn!(%error, "segments could not be deleted; tried again"),
                Err(panic) => tracing::error!(%panic, "a round of retention ended in a panic"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn round(&self) -> Result<Usage, tape::Error> {
        let history_us = i64::try_from(self.tape.history.as_micros()).unwrap_or(i64::MAX);
        self.delete(&Policy { history_us, ..Policy::default() })?;
        let usage = tape::usage(&self.tape.dir)?;
        if self.tape.budget_bytes.is_none_or(|budget| usage.bytes <= budget) {
            return Ok(usage);
        }
        let shortened = self.delete(&Policy::default())?;
        if shortened.segments > 0 {
            tracing::warn!(segments = shortened.segments, "the tape is over its budget: history was shortened");
        }
        tape::usage(&self.tape.dir)
    }

    fn delete(&self, policy: &Policy) -> Result<Retained, tape::Error> {
        let now_us = jiff::Timestamp::now().as_microsecond();
        tape::retain(&self.tape.dir, &self.watermark, &self.pins, policy, now_us)
    }
}
