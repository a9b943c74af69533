//! Deletes sealed segments that history and sinks have passed, and looks at the disk budget.
//!
//! Invariant: what a sink needs is never deleted here; beyond the budget history is shortened, and an alarm stands when
//! that is not enough.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::status::Scene;
use crate::config;
use crate::tape::{self, Pins, Policy, Retained, Usage};

/// How often the size of the tape is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Segments are deleted once in so many looks.
const LOOKS_A_ROUND: u32 = 5;

/// What the last look found.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Option<Usage>>);

impl Findings {
    /// Size and extent of the tape; `None` before the first look.
    pub fn usage(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, usage: Usage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }
}

/// Looks and rounds until `stop`.
pub(super) async fn keep(scene: Arc<Scene>, pins: Pins, stop: CancellationToken) {
    for look in 0_u32.. {
        let (work, pins) = (Arc::clone(&scene), pins.clone());
        let deletes = look % LOOKS_A_ROUND == 0;
        let round = tokio::task::spawn_blocking(move || match deletes {
            true => round(&work, &pins),
            false => tape::usage(&work.config.tape.dir),
        });
        let round = round.await;
        match round {
            Ok(Ok(usage)) => scene.retention.set(usage),
            Ok(Err(error)) => tracing::warn!(%error, "segments could not be deleted; tried again"),
            Err(panic) => tracing::error!(%panic, "a round of retention ended in a panic"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

fn round(scene: &Scene, pins: &Pins) -> Result<Usage, tape::Error> {
    let tape = &scene.config.tape;
    let now_us = jiff::Timestamp::now().as_microsecond();
    let history_us = i64::try_from(tape.history.as_micros()).unwrap_or(i64::MAX);
    let keep = |policy: &Policy| -> Result<Retained, tape::Error> {
        tape::retain(&tape.dir, &scene.tape.watermark, pins, policy, now_us)
    };
    keep(&Policy { history_us, ..Policy::default() })?;
    let usage = tape::usage(&tape.dir)?;
    if !is_over_budget(tape, &usage) {
        return Ok(usage);
    }
    let shortened = keep(&Policy::default())?;
    if shortened.segments > 0 {
        tracing::warn!(segments = shortened.segments, "the tape is over its budget: history was shortened");
    }
    tape::usage(&tape.dir)
}

/// Whether the tape is larger than `tape.budget_bytes`.
pub(super) fn is_over_budget(tape: &config::Tape, usage: &Usage) -> bool {
    tape.budget_bytes.is_some_and(|budget| usage.bytes > budget)
}
