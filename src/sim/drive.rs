//! THE loop of an actor: decide, note, commit, acknowledge, fold; at the start, finish what was in flight and take the
//! open state back.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::actor::{Actor, Moment, Rows};
use super::record::{Clock, Record, decode_event};
use super::run::{ActorReport, Error};
use super::{Dice, check, rehydrate};
use crate::engines::Store;
use crate::engines::pool::DRAIN_TIMEOUT;

/// An actor that fell behind its rate makes up at most this much; the rest is let go.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// What an actor is run with.
pub(super) struct Course {
    pub store: Store,
    pub seed: u64,
    pub clock: Clock,
    /// Wall time between events.
    pub period: Duration,
    pub until: Option<Instant>,
    /// Ends when so many events are acknowledged, over all restarts.
    pub events_max: Option<u64>,
    pub record_dir: PathBuf,
    pub standby_url: Option<String>,
    pub cancel: CancellationToken,
}

/// Runs the actor until its time is over, its events are done, or it is cancelled.
pub(super) async fn drive<A: Actor>(mut actor: A, course: &Course) -> Result<ActorReport, Error> {
    let mut record = Record::open(&course.record_dir, actor.name(), course.seed, course.clock)?;
    let acknowledged_before = record.state().acknowledged;
    let started = finish(&mut actor, &mut record, course).await? && restore(&mut actor, &record, course).await?;
    let mut due = Instant::now();
    while started && !over(&record, course) {
        let number = record.state().acknowledged;
        let moment = Moment { number, seed: course.seed, time_us: record.state().clock.time_us(number) };
        let event = actor.decide(moment, &mut Dice::new(course.seed, actor.name(), number));
        record.begin(&event, actor.effects(&event))?;
        let Some(lsn) = commit(&mut actor, &event, course).await? else { break };
        record.acknowledge(lsn)?;
        actor.fold(&event);

        due = (due + course.period).max(Instant::now().checked_sub(CATCH_UP_MAX).unwrap_or(due));
        tokio::select! {
            () = course.cancel.cancelled() => {}
            () = sleep_until(due) => {}
        }
    }
    course.store.drain().await;
    let state = record.state();
    Ok(ActorReport { events: state.acknowledged - acknowledged_before, acknowledged: state.acknowledged })
}

fn over(record: &Record, course: &Course) -> bool {
    course.cancel.is_cancelled()
        || course.until.is_some_and(|until| Instant::now() >= until)
        || course.events_max.is_some_and(|most| record.state().acknowledged >= most)
}

/// Repeats the event that was in flight when the last run ended. False when cancelled.
async fn finish<A: Actor>(actor: &mut A, record: &mut Record, course: &Course) -> Result<bool, Error> {
    let Some(in_flight) = record.state().in_flight() else { return Ok(true) };
    let event: A::Event = decode_event(&in_flight.event)?;
    let Some(lsn) = commit(actor, &event, course).await? else { return Ok(false) };
    record.acknowledge(lsn)?;
    Ok(true)
}

/// Gives the actor its rows: from the standby, once it has seen the last acknowledged commit, or from the record when
/// there is no standby. The standby's rows must be the promised ones. False when cancelled.
async fn restore<A: Actor>(actor: &mut A, record: &Record, course: &Course) -> Result<bool, Error> {
    let state = record.state();
    let rows: Rows = match &course.standby_url {
        _ if state.acknowledged == 0 => return Ok(true),
        None => state.rows_of(actor.tables()),
        Some(url) => {
            let Some(rows) = rehydrate::fetch(url, actor.tables(), state.lsn, &course.cancel).await? else {
                return Ok(false);
            };
            let report = check::against_rows(&rows, actor.tables(), std::slice::from_ref(state));
            if let Some(finding) = report.findings.first() {
                return Err(Error::Standby { actor: state.name.clone(), finding: finding.to_string() });
            }
            rows
        }
    };
    actor.restore(&rows).map_err(|why| Error::Standby { actor: state.name.clone(), finding: why })?;
    prepare(actor, course).await
}

/// Lets the actor ask the server for what rows do not tell, through restarts of the server. False when cancelled.
async fn prepare<A: Actor>(actor: &mut A, course: &Course) -> Result<bool, Error> {
    loop {
        let result = tokio::select! {
            () = course.cancel.cancelled() => return Ok(false),
            result = actor.prepare(&course.store) => result,
        };
        match result {
            Ok(()) => return Ok(true),
            Err(error) if error.may_be_repeated() => tracing::warn!(%error, "asking again"),
            Err(source) => return Err(Error::Write { actor: actor.name(), source }),
        }
    }
}

/// Commits the event, through restarts of the server. `None` when cancelled: the event stays in flight.
async fn commit<A: Actor>(
    actor: &mut A,
    event: &A::Event,
    course: &Course,
) -> Result<Option<crate::model::Lsn>, Error> {
    let given_up = async {
        course.cancel.cancelled().await;
        sleep(DRAIN_TIMEOUT).await;
    };
    let repeated = async {
        loop {
            match actor.perform(&course.store, event).await {
                Ok(lsn) => return Ok(Some(lsn)),
                Err(error) if error.may_be_repeated() && !course.cancel.is_cancelled() => {
                    tracing::warn!(%error, "repeating the event");
                }
                Err(error) if error.may_be_repeated() => return Ok(None),
                Err(error) => return Err(Error::Write { actor: actor.name(), source: error }),
            }
        }
    };
    tokio::select! {
        result = repeated => result,
        () = given_up => Ok(None),
    }
}
