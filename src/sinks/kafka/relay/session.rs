//! A session: from taking the sink's id in Kafka to the first doubt.

use std::time::{Duration, Instant};

use super::begin::{Begun, NotBegun, begin, noted_topics, progress_of};
use super::handle::Command;
use super::idle::Woken;
use super::sender::Sender;
use super::thread::{Ended, Thread, noted};
use super::work::{TOPIC_NOTE, Work};
use super::{catch_up, copy, stand};
use crate::model::{OP_ALL, Position};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::changes::Changes;
use crate::sinks::kafka::client::{Failure, Found, Topics};
use crate::sinks::kafka::feed::Feed;
use crate::sinks::kafka::progress::Progress;
use crate::sinks::kafka::settings::{FeedSettings, Initial, Settings};
use crate::sinks::status::State;
use crate::tape::{self, Entry, Reader};

/// The feed is asked for what is due at least this often, while more is coming.
const DUE_EVERY: Duration = Duration::from_millis(100);
/// A feed without room is looked at so often.
const ROOM_EVERY: Duration = Duration::from_millis(20);

/// Runs one session to its end.
pub(super) fn run(thread: &mut Thread) -> Result<Ended, Error> {
    let settings = thread.setup.settings.clone();
    let keys = thread.keys.clone();
    let limits = thread.limits.clone();
    let begun = match begin(&settings, &keys, limits.batch(), &mut thread.instance) {
        Ok(begun) => begun,
        Err(NotBegun::Failed(failure)) => return Ok(Ended::Failed(failure)),
        Err(NotBegun::Refused(refusal)) => return Err(refusal.into()),
    };
    let Begun { producer, topics, found } = begun;
    match missing(&topics, &found, &settings) {
        Ok(None) => {}
        Ok(Some(refusal)) => return Err(refusal.into()),
        Err(failure) => return Ok(Ended::Failed(failure)),
    }
    let Some(committed) = stand_of(thread, &settings, &found)? else { return Ok(Ended::Stopped) };
    let done = (!committed.copying && committed.position.op != OP_ALL).then_some(committed.position);
    // An outbox notes itself what it has done of a split transaction, and produces what waited since long before.
    let done = done.filter(|_| settings.feed.outbox().is_none());
    let mut sender = Sender::new(&settings, &limits, &keys, producer, topics, done);
    let mut feed = feed_of(&settings, &committed)?;
    for (key, value) in &found.notes {
        match key.strip_prefix(TOPIC_NOTE) {
            Some(topic) => sender.know([topic.to_owned()]),
            None => feed.restore(key, value)?,
        }
    }
    let (cancel, handle) = (thread.idle.cancel.clone(), thread.handle.clone());
    let stop = move || cancel.is_cancelled();
    let mut work = Work {
        settings: &settings,
        keys: &keys,
        handle: &handle,
        sender,
        feed,
        progress: committed.clone(),
        committed,
        committed_at: Instant::now(),
        stop: &stop,
        clock: thread.setup.clock,
    };
    work.report();
    thread.pin_tape(&work.committed, &work.feed.stopped());
    let result = copy::rows_first(thread, &mut work).and_then(|gone_on| match gone_on {
        true => follow(thread, &mut work),
        false => Ok(Ended::Stopped),
    });
    match (result, work.sender.failed.take()) {
        (Err(Error::Interrupted), Some(failure)) => Ok(Ended::Failed(failure)),
        (Err(Error::Unreachable(what)), _) => Ok(Ended::Failed(Failure::Doubt(what))),
        (result, _) => result,
    }
}

/// A topic that holds records of ours, and is gone, or is another one now.
fn missing(topics: &Topics, found: &Found, settings: &Settings) -> Result<Option<Refusal>, Failure> {
    let list = topics.list()?;
    let reset = format!("or begin anew with: pgtape kafka reset {}", settings.name);
    for topic in noted_topics(found) {
        let gone = match list.get(topic) {
            None => Some("is gone"),
            Some(facts) if topics.appended(topic, facts.partitions)? == 0 => Some("was made anew"),
            Some(_) => None,
        };
        if let Some(gone) = gone {
            let what =
                format!("the topic {topic} {gone}, with the records that the Kafka sink {} put there", settings.name);
            let hint = format!(
                "if that was meant: pgtape kafka forget {} --topic {topic} (then kafka move, to have them again); {reset}",
                settings.name
            );
            return Ok(Some(Refusal::new(Kind::Tape, what, hint)));
        }
    }
    Ok(None)
}

/// Where the sink stands; `None`: the service ended before that was known.
fn stand_of(thread: &mut Thread, settings: &Settings, found: &Found) -> Result<Option<Progress>, Error> {
    let setup = &thread.setup;
    let (oldest, end) = (tape::usage(&setup.tape_dir)?.oldest, setup.watermark.get());
    if let Some(progress) = progress_of(found)? {
        stand::check(&settings.name, &progress, &setup.identity, oldest, end)?;
        return Ok(Some(progress));
    }
    if let Some(only) = setup.only {
        return Ok(Some(stand::beginning(setup.identity.clone(), Position::whole(only.from), end.epoch)));
    }
    if let Some(noted) = noted(settings)? {
        return Err(stand::lost(settings, noted).into());
    }
    Ok(match settings.initial {
        Initial::Earliest => Some(stand::beginning(setup.identity.clone(), Position::whole(oldest), 0)),
        Initial::Now => Some(stand::beginning(setup.identity.clone(), Position::whole(end.lsn), end.epoch)),
        Initial::Copy => copy::begin(thread)?,
    })
}

fn feed_of(settings: &Settings, stand: &Progress) -> Result<Box<dyn Feed>, Error> {
    Ok(match &settings.feed {
        FeedSettings::Changes(changes) => {
            Box::new(Changes::new(changes.clone().into(), stand.position, stand.last_commit)?)
        }
        FeedSettings::Outbox(outbox) => Box::new(outbox.feed()),
    })
}

/// From the tape to Kafka.
fn follow(thread: &mut Thread, work: &mut Work<'_>) -> Result<Ended, Error> {
    let after = stand::read_after(work.progress.position);
    let mut reader = Reader::open(&thread.setup.tape_dir, after, thread.setup.watermark.clone())?;
    thread.handle.update(|report| (report.state, report.error) = (State::CatchingUp, None));
    let mut due_at = Instant::now();
    let mut owing = !work.feed.owed().is_empty();
    loop {
        if owing && work.progress.position.op == OP_ALL {
            owing = false;
            if !catch_up::run(thread, work.settings, work)? {
                return Ok(Ended::Stopped);
            }
        }
        if Instant::now() >= due_at {
            let next = work.feed.due((work.clock)(), &mut work.sender)?;
            due_at = Instant::now() + until(next, (work.clock)());
        }
        if !work.feed.has_room() {
            if work.sender.open.is_some() {
                commit(thread, work)?;
            }
            if !thread.idle.pause(ROOM_EVERY) {
                return last(thread, work);
            }
            if let Ok(command) = thread.idle.commands.try_recv() {
                return pause_for(thread, work, command);
            }
            continue;
        }
        if work.rest().is_some_and(|rest| !thread.idle.pause(rest)) {
            return last(thread, work);
        }
        let end = reader.watermark().get();
        if thread.setup.only.is_some_and(|only| reader.position() >= only.to) {
            return last(thread, work).map(|_| Ended::Whole);
        }
        match reader.next()? {
            Some(Entry::Transaction(unit)) if thread.setup.only.is_some_and(|only| unit.head().end_lsn > only.to) => {
                return last(thread, work).map(|_| Ended::Whole);
            }
            Some(Entry::Preamble(messages)) => work.preamble(messages)?,
            Some(Entry::Transaction(transaction)) => {
                work.unit(transaction)?;
                // It may have left something to be done soon.
                due_at = due_at.min(Instant::now() + DUE_EVERY);
            }
            Some(Entry::Progress(lsn)) => work.nothing_until(lsn),
            Some(Entry::Gap(gap)) => {
                tracing::warn!(from = %gap.from, to = %gap.to, reason = gap.reason, "an accepted gap in the tape");
            }
            None => {
                let commit_at = work.commit_at();
                if commit_at.is_some_and(|at| at <= Instant::now()) {
                    commit(thread, work)?;
                    continue;
                }
                let quiet = work.sender.open.is_none().then_some(work.progress.position);
                thread.handle.update(|report| {
                    report.state = State::Following;
                    report.position = quiet.unwrap_or(report.position);
                });
                let at = commit_at.map_or(due_at, |at| at.min(due_at));
                match thread.idle.wait(end, Some(at)) {
                    Woken::Look => {}
                    Woken::Stop => return last(thread, work),
                    Woken::Command(command) => return pause_for(thread, work, command),
                }
            }
        }
        if work.is_due() {
            commit(thread, work)?;
        }
        if thread.idle.cancel.is_cancelled() {
            return last(thread, work);
        }
        if let Ok(command) = thread.idle.commands.try_recv() {
            return pause_for(thread, work, command);
        }
    }
}

/// How long the feed need not be asked; bounded, for its answer may be of the past.
fn until(next_us: Option<i64>, now_us: i64) -> Duration {
    let Some(next_us) = next_us else { return Duration::from_secs(3600) };
    let left = u64::try_from(next_us.saturating_sub(now_us)).unwrap_or(0);
    Duration::from_micros(left).max(DUE_EVERY)
}

fn commit(thread: &mut Thread, work: &mut Work<'_>) -> Result<(), Error> {
    work.commit()?;
    thread.keep_tape(&work.committed, &work.feed.stopped())
}

/// An order is obeyed between sessions.
fn pause_for(thread: &mut Thread, work: &mut Work<'_>, command: Command) -> Result<Ended, Error> {
    last(thread, work)?;
    Ok(Ended::Asked(command))
}

/// The session ends in order: what is open is committed, and if that fails it is produced again.
fn last(thread: &mut Thread, work: &mut Work<'_>) -> Result<Ended, Error> {
    if work.sender.open.is_some() || work.progress != work.committed {
        // The stop was heard: the flush must not give up because of it.
        work.stop = &|| false;
        commit(thread, work)?;
    }
    Ok(Ended::Stopped)
}
