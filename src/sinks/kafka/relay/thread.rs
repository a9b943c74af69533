//! The thread of a Kafka sink: one session after another, until the stop or what only a person can mend.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::begin::Instance;
use super::handle::{COMMANDS_MAX, Command, Handle};
use super::idle::Idle;
use super::limits::Limits;
use super::{obey, session};
use crate::model::{Lsn, Position};
use crate::refusal::{Kind, Refusal};
use crate::sinks::cursor::Identity;
use crate::sinks::kafka::changes::Stop;
use crate::sinks::kafka::client::{self, Failure, Topics};
use crate::sinks::kafka::outbox;
use crate::sinks::kafka::progress::{Keys, Progress};
use crate::sinks::kafka::report::Report;
use crate::sinks::kafka::settings::{Delivery, Settings};
use crate::sinks::standby::StandbyReader;
use crate::sinks::status::State;
use crate::sinks::{Error, ROWS_PIN};
use crate::tape::{self, Pins, TapeId, Watermark};

/// Wait before a new session, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The position is noted beside the tape this often, at most.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// After a fence a successor has so long to say who it is, which is looked at this often: who is fenced back too early
/// would be the wrong one to end.
const SUCCESSOR_SPEAKS: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a Kafka sink is started with.
pub struct Setup {
    /// The sink.
    pub settings: Arc<Settings>,
    /// The tape.
    pub tape_dir: PathBuf,
    /// Which tape it is.
    pub tape_id: TapeId,
    /// Its durable end.
    pub watermark: Watermark,
    /// Whose positions these are.
    pub identity: Identity,
    /// Keeps the tape.
    pub pins: Pins,
    /// The rows for a copy; without it a copy is refused.
    pub standby: Option<StandbyReader>,
    /// A part of the tape, instead of all that comes.
    pub only: Option<Only>,
    /// Tells the time, microseconds since the Unix epoch.
    pub clock: fn() -> i64,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// A part of the tape.
#[derive(Debug, Clone, Copy)]
pub struct Only {
    /// Everything after here.
    pub from: Lsn,
    /// Up to here.
    pub to: Lsn,
}

/// How a session ended.
pub(super) enum Ended {
    /// The service ends.
    Stopped,
    /// The part of the tape that was asked for is produced.
    Whole,
    /// Somebody asks something, which is answered between sessions.
    Asked(Command),
    /// Something failed.
    Failed(Failure),
}

/// What lives as long as the thread.
pub(super) struct Thread {
    pub(super) setup: Setup,
    pub(super) keys: Keys,
    pub(super) handle: Handle,
    pub(super) idle: Idle,
    pub(super) instance: Instance,
    /// What topics take.
    pub(super) limits: Limits,
    /// When the position was last kept beside the tape.
    noted_at: Instant,
}

/// Starts a sink on a thread of its own. What it ends with comes through the receiver: an error is for the whole service.
pub fn start(setup: Setup) -> Result<(Handle, oneshot::Receiver<Result<(), Error>>), Error> {
    let (mut thread, handle) = Thread::new(setup)?;
    // Until Kafka says where the sink stands.
    if let Some(noted) = pin_as_noted(&thread.setup.settings, &thread.setup.pins)? {
        handle.update(|report| (report.position, report.committed) = (noted, noted));
    }
    let (done, ended) = oneshot::channel();
    let work = move || {
        // So that each line of this thread names the sink, wherever it is written.
        let _span = tracing::error_span!("kafka", sink = thread.handle.name()).entered();
        let result = thread.work();
        thread.handle.update(|report| report.state = State::Stopped);
        let _ = done.send(result);
    };
    let started = std::thread::Builder::new().name(format!("kafka-{}", handle.name())).spawn(work);
    started.map_err(Error::io("start the thread of", "a Kafka sink"))?;
    Ok((handle, ended))
}

impl Thread {
    /// A sink, and what others see of it.
    pub(super) fn new(setup: Setup) -> Result<(Self, Handle), Error> {
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let report = Arc::new(Mutex::new(Report::new(&setup.settings.name)));
        let outbox = setup.settings.feed.outbox().map(outbox::Setup::status);
        let handle = Handle { name: setup.settings.name.as_str().into(), report, commands, outbox };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::io("make a runtime for", "a Kafka sink"))?;
        let (watermark, cancel) = (setup.watermark.clone(), setup.cancel.clone());
        let thread = Self {
            keys: Keys::new(&setup.settings.id),
            handle: handle.clone(),
            idle: Idle { runtime, commands: waiting, watermark, cancel },
            instance: Instance::new(),
            limits: Limits::new(setup.settings.message_bytes_max),
            noted_at: Instant::now(),
            setup,
        };
        Ok((thread, handle))
    }

    fn work(&mut self) -> Result<(), Error> {
        let mut wait = RETRY_MIN;
        loop {
            let position = self.handle.report().position;
            let ended = match session::run(self) {
                Err(Error::Refused(refusal)) => self.wait_for_an_order(&refusal),
                ended => ended?,
            };
            if self.handle.report().position != position {
                wait = RETRY_MIN;
            }
            match ended {
                Ended::Stopped | Ended::Whole => return Ok(()),
                Ended::Asked(command) => {
                    self.obey(command);
                    continue;
                }
                Ended::Failed(Failure::Fenced(why)) => self.look_who_fenced(&why)?,
                Ended::Failed(failure) => {
                    if let Failure::TooLarge { topic, .. } = &failure {
                        self.learn_limit(topic);
                    }
                    let why = failure.to_string();
                    tracing::warn!(why, "Kafka failed; a new session begins from the progress record");
                    self.handle.update(|report| (report.state, report.error) = (State::Retrying, Some(why)));
                }
            }
            if !self.idle.pause(wait) {
                return Ok(());
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// A broker refused a batch of `topic`: the next session makes smaller ones, and puts larger records aside.
    fn learn_limit(&mut self, topic: &str) {
        let settings = &self.setup.settings;
        let topics = Topics::new(&settings.link, &settings.id);
        let told = topics.and_then(|topics| topics.config(topic, "max.message.bytes"));
        let told = told.ok().flatten().and_then(|text| text.parse().ok());
        let bytes = self.limits.refused(topic, told);
        tracing::warn!(topic, bytes, "the topic takes less than message_max");
    }

    /// What only a person can mend stops this sink alone: the others, and the tape, go on.
    fn wait_for_an_order(&mut self, refusal: &Refusal) -> Ended {
        tracing::error!("{refusal}");
        self.handle.update(|report| {
            (report.state, report.error) = (State::Stopped, Some(refusal.to_string()));
        });
        match self.idle.command() {
            Some(command) => Ended::Asked(command),
            None => Ended::Stopped,
        }
    }

    fn obey(&mut self, command: Command) {
        if command.reply.is_closed() {
            tracing::warn!(order = %command.order, "who gave this order waits no more: left alone");
            return;
        }
        let (settings, dir) = (&self.setup.settings, &self.setup.tape_dir);
        let _ = command.reply.send(obey::obey(settings, dir, &mut self.instance, &command.order));
        self.handle.update(|report| (report.state, report.error) = (State::Starting, None));
    }

    /// Fenced: by another instance, which ends this one, or by a coordinator that gave up on a transaction of ours.
    fn look_who_fenced(&mut self, why: &str) -> Result<(), Error> {
        tracing::warn!(why, "the transactional id is no longer ours");
        self.handle.update(|report| (report.state, report.error) = (State::Retrying, Some(why.to_owned())));
        if self.setup.settings.delivery == Delivery::AtLeastOnce {
            return Ok(());
        }
        let settings = Arc::clone(&self.setup.settings);
        let began = Instant::now();
        while began.elapsed() < SUCCESSOR_SPEAKS {
            if !self.idle.pause(LOOK_EVERY) {
                return Ok(());
            }
            let found = client::read(&settings.link, &settings.progress_topic, &self.keys, None);
            let instance = found.ok().and_then(|found| found.instance);
            if instance.is_some_and(|record| !self.instance.wrote(&record)) {
                return Err(Error::Fenced(taken_over(&settings)));
            }
        }
        Ok(())
    }

    /// The tape is kept after where the sink stands, and after what stopped topics are owed.
    pub(super) fn pin_tape(&self, stands: &Progress, stopped: &[Stop]) -> Lsn {
        let owed = stopped.iter().map(|stop| stop.position.lsn).min();
        let lsn = owed.map_or(stands.position.lsn, |owed| owed.min(stands.position.lsn));
        if self.setup.only.is_none() {
            pin_at(&self.setup.settings, &self.setup.pins, lsn);
        }
        lsn
    }

    /// The same of what is committed. Now and then that is noted beside the tape: for a start that cannot ask Kafka, and for
    /// one that finds nothing there.
    pub(super) fn keep_tape(&mut self, committed: &Progress, stopped: &[Stop]) -> Result<(), Error> {
        let lsn = self.pin_tape(committed, stopped);
        if self.setup.only.is_some() || self.noted_at.elapsed() < NOTE_EVERY {
            return Ok(());
        }
        self.noted_at = Instant::now();
        let position = Position::whole(lsn);
        let cursor = tape::Cursor { tape: self.setup.tape_id, epoch: committed.epoch, position };
        Ok(cursor_file(&self.setup.settings).save(&cursor, &self.setup.watermark)?)
    }
}

/// Under this name a sink pins the tape.
fn pin(settings: &Settings) -> String {
    format!("kafka.{}", settings.name)
}

/// Where its position is noted beside the tape. Under another id the sink is another one.
fn cursor_file(settings: &Settings) -> tape::CursorFile {
    tape::CursorFile::new(settings.state_dir.join(format!("{}.cursor", settings.id)))
}

/// The position that was noted beside the tape.
pub(super) fn noted(settings: &Settings) -> Result<Option<Position>, tape::Error> {
    Ok(cursor_file(settings).load()?.map(|cursor| cursor.position))
}

/// The sink begins anew, or somewhere else: what was noted beside the tape is of the past.
pub(super) fn forget_noted(settings: &Settings) -> Result<(), tape::Error> {
    cursor_file(settings).remove()
}

/// Until Kafka has been asked the tape is kept after what the last run noted, which is returned, or all of it.
pub fn pin_as_noted(settings: &Settings, pins: &Pins) -> Result<Option<Position>, Error> {
    let noted = noted(settings)?;
    pin_at(settings, pins, noted.map_or(Lsn::ZERO, |position| position.lsn));
    Ok(noted)
}

fn pin_at(settings: &Settings, pins: &Pins, lsn: Lsn) {
    pins.set(&pin(settings), lsn);
    if settings.feed.needs_rows() {
        pins.set(&format!("{ROWS_PIN}{}", pin(settings)), lsn);
    }
}

/// Why the service of a sink with a successor ends.
fn taken_over(settings: &Settings) -> Refusal {
    let what = format!("another pgtape has taken over the Kafka sink {} (id {})", settings.name, settings.id);
    let hint = "only one may run: stop the other, or give this one a topic_prefix or a name of its own";
    Refusal::new(Kind::Locked, what, hint)
}
