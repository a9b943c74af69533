//! A session: from taking the sink's id in Kafka to the first doubt.

use std::time::{Duration, Instant};

use super::copy;
use super::handle::Command;
use super::idle::Woken;
use super::sender::Sender;
use super::stand;
use super::thread::{Ended, Thread};
use super::work::{TOPIC_NOTE, Work};
use crate::model::Position;
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::changes::Changes;
use crate::sinks::kafka::client::{self, Failure, Found, Producer, Topics};
use crate::sinks::kafka::feed::Feed;
use crate::sinks::kafka::progress::Progress;
use crate::sinks::kafka::settings::{FeedSettings, Initial, NewTopics, Settings};
use crate::sinks::status::State;
use crate::tape::{self, Entry, Reader};

/// The feed is asked for what is due at least this often, while more is coming.
const DUE_EVERY: Duration = Duration::from_millis(100);

/// Runs one session to its end.
pub(super) fn run(thread: &mut Thread) -> Result<Ended, Error> {
    let settings = thread.setup.settings.clone();
    let keys = thread.keys.clone();
    let opened = match open(thread, &settings) {
        Ok(opened) => opened,
        Err(Opening::Failed(failure)) => return Ok(Ended::Failed(failure)),
        Err(Opening::Refused(refusal)) => return Err(refusal.into()),
    };
    let Opened { producer, topics, found, missing } = opened;
    if let Some(refusal) = missing {
        return Err(refusal.into());
    }
    let Some(committed) = stand_of(thread, &settings, found.progress.as_deref())? else { return Ok(Ended::Stopped) };
    let done = (!committed.copying && committed.position.op != crate::model::OP_ALL).then_some(committed.position);
    let mut sender = Sender::new(&settings, &keys, producer, topics, done);
    let mut feed = feed_of(&settings, &committed);
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
    let result = copy::rows_first(thread, &mut work).and_then(|gone_on| match gone_on {
        true => follow(thread, &mut work),
        false => Ok(Ended::Stopped),
    });
    match (result, work.sender.failed.take()) {
        (Err(Error::Interrupted), Some(failure)) => Ok(Ended::Failed(failure)),
        (result, _) => result,
    }
}

/// What a session begins with.
struct Opened {
    producer: Producer,
    topics: Topics,
    found: Found,
    /// A topic with our records that is gone.
    missing: Option<Refusal>,
}

enum Opening {
    Failed(Failure),
    Refused(Refusal),
}

impl From<Failure> for Opening {
    fn from(failure: Failure) -> Self {
        Opening::Failed(failure)
    }
}

/// Takes the id, says so in the progress topic, and reads that until there.
fn open(thread: &mut Thread, settings: &Settings) -> Result<Opened, Opening> {
    let topics = Topics::new(&settings.link, &settings.id)?;
    make_progress_topic(&topics, settings)?;
    let (link, bytes_max) = (&settings.link, settings.message_bytes_max);
    let producer = Producer::start(link, &settings.id, settings.delivery, &settings.bounds, bytes_max)?;
    let mark = thread.instance.next();
    fail::fail_point!("kafka::before-mark");
    producer.begin()?;
    producer.send_plain(&settings.progress_topic, thread.keys.instance().as_bytes(), Some(mark.as_bytes()))?;
    producer.flush(|| true)?;
    producer.commit()?;
    let found = client::read(link, &settings.progress_topic, &thread.keys, Some(&mark))?;
    let missing = missing(&topics, &found, settings)?;
    Ok(Opened { producer, topics, found, missing })
}

fn make_progress_topic(topics: &Topics, settings: &Settings) -> Result<(), Opening> {
    let name = &settings.progress_topic;
    let facts = match topics.list()?.get(name) {
        Some(facts) => *facts,
        None => {
            let configs = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
            let replication = settings.create.as_ref().and_then(|how| how.replication);
            topics.create(name, &NewTopics { partitions: Some(1), replication, configs })?;
            client::TopicFacts { partitions: 1, replicas: 0 }
        }
    };
    let policy = topics.config(name, "cleanup.policy")?;
    let wrong = if facts.partitions != 1 {
        Some(format!("has {} partitions; it must have one", facts.partitions))
    } else {
        policy
            .filter(|policy| policy != "compact")
            .map(|policy| format!("has cleanup.policy={policy}: progress would be deleted; it must be compact"))
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => {
            let what = format!("the topic of progress records, {name}, {wrong}");
            let hint = "name another progress_topic, or mend this one with Kafka's own tools";
            Err(Opening::Refused(Refusal::new(Kind::Server, what, hint)))
        }
    }
}

/// A topic that holds records of ours, and is gone, or is another one now.
fn missing(topics: &Topics, found: &Found, settings: &Settings) -> Result<Option<Refusal>, Failure> {
    let list = topics.list()?;
    let reset = format!("or begin anew with: pgtape kafka reset {}", settings.name);
    for topic in found.notes.keys().filter_map(|key| key.strip_prefix(TOPIC_NOTE)) {
        let gone = match list.get(topic) {
            None => Some("is gone"),
            Some(facts) if topics.appended(topic, facts.partitions)? == 0 => Some("was made anew"),
            Some(_) => None,
        };
        if let Some(gone) = gone {
            let what =
                format!("the topic {topic} {gone}, with the records that the Kafka sink {} put there", settings.name);
            let hint = format!(
                "if that was meant, produce them again: pgtape kafka forget {} --topic {topic}; {reset}",
                settings.name
            );
            return Ok(Some(Refusal::new(Kind::Tape, what, hint)));
        }
    }
    Ok(None)
}

/// Where the sink stands; `None`: the service ended before that was known.
fn stand_of(thread: &mut Thread, settings: &Settings, record: Option<&[u8]>) -> Result<Option<Progress>, Error> {
    let setup = &thread.setup;
    let (oldest, end) = (tape::usage(&setup.tape_dir)?.oldest, setup.watermark.get());
    if let Some(record) = record {
        let progress = Progress::decode(record).map_err(|error| {
            let hint = "it was written by something else: name another progress_topic or topic_prefix";
            Refusal::new(Kind::Tape, error.to_string(), hint)
        })?;
        stand::check(&settings.name, &progress, &setup.identity, oldest, end)?;
        return Ok(Some(progress));
    }
    Ok(match settings.initial {
        Initial::Earliest => Some(stand::beginning(setup.identity.clone(), Position::whole(oldest), 0)),
        Initial::Now => Some(stand::beginning(setup.identity.clone(), Position::whole(end.lsn), end.epoch)),
        Initial::Copy => copy::begin(thread)?,
    })
}

fn feed_of(settings: &Settings, stand: &Progress) -> Box<dyn Feed> {
    match &settings.feed {
        FeedSettings::Changes(changes) => {
            Box::new(Changes::new(changes.clone().into(), stand.position, stand.last_commit))
        }
    }
}

/// From the tape to Kafka.
fn follow(thread: &mut Thread, work: &mut Work<'_>) -> Result<Ended, Error> {
    let after = stand::read_after(work.progress.position);
    let mut reader = Reader::open(&thread.setup.tape_dir, after, thread.setup.watermark.clone())?;
    thread.handle.update(|report| (report.state, report.error) = (State::CatchingUp, None));
    let mut due_at = Instant::now();
    loop {
        if Instant::now() >= due_at {
            let next = work.feed.due((work.clock)(), &mut work.sender)?;
            due_at = Instant::now() + until(next, (work.clock)());
        }
        let end = reader.watermark().get();
        match reader.next()? {
            Some(Entry::Preamble(messages)) => work.preamble(messages)?,
            Some(Entry::Transaction(transaction)) => work.unit(transaction)?,
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
                    Woken::Command(command) => {
                        obey(thread, work, command)?;
                        return Ok(Ended::Again);
                    }
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
            obey(thread, work, command)?;
            return Ok(Ended::Again);
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

/// The service ends: what is open is committed, unless that fails, in which case it is produced again.
fn last(thread: &mut Thread, work: &mut Work<'_>) -> Result<Ended, Error> {
    if work.sender.open.is_some() || work.progress != work.committed {
        // The stop was heard: the flush must not give up because of it.
        work.stop = &|| false;
        commit(thread, work)?;
    }
    Ok(Ended::Stopped)
}

fn obey(thread: &mut Thread, work: &mut Work<'_>, command: Command) -> Result<(), Error> {
    match command {
        Command::Move { to, reply } => {
            let _ = reply.send(move_to(thread, work, to)?);
        }
        Command::Resume { reply, .. } => {
            let _ = reply.send(Ok(Vec::new()));
        }
    }
    Ok(())
}

/// Commits another position. What is open is given up with the session, unless it belongs before the move.
fn move_to(thread: &mut Thread, work: &mut Work<'_>, to: Position) -> Result<Result<Position, Refusal>, Error> {
    let (oldest, end) = (tape::usage(&thread.setup.tape_dir)?.oldest, thread.setup.watermark.lsn());
    if to.lsn < oldest || to.lsn > end {
        let what = format!("the tape does not hold {to}");
        let hint = format!("it goes from {} to {}", Position::whole(oldest), Position::whole(end));
        return Ok(Err(Refusal::new(Kind::Usage, what, hint)));
    }
    let before = work.progress.position;
    work.progress.position = Position::whole(to.lsn);
    work.progress.moves += 1;
    work.progress.copying = false;
    work.progress.last_commit = None;
    commit(thread, work)?;
    tracing::info!(sink = work.settings.name, from = %before, to = %work.progress.position, "the Kafka sink was moved");
    Ok(Ok(before))
}
