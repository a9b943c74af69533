//! Keeps the stream going: first copy if need be, then one connection after the other, each checked before it streams.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::model::Lsn;
use crate::pg::{self, Purpose};
use crate::refusal::{Kind, Refusal};
use crate::tape::{Origin, Recovered, Writer};

use super::append::Appender;
use super::conversation::Conversation;
use super::error::{Doing, Error};
use super::first_copy::{first_copy, give_up};
use super::heartbeat::{self, Seen};
use super::ingest::ingest;
use super::known::Known;
use super::plan::{Plan, TapeState, plan};
use super::prepare::Prepared;
use super::receive::{Receiver, streaming};
use super::refresh::{Refresher, back_off};
use super::{State, StatusHandle, poll, server, slot};

/// Another process may hold the slot this long after our start before we give up: our own predecessor may be ending.
const SLOT_IN_USE_MAX: Duration = Duration::from_secs(10);
/// A connection that streamed this long ends the count of failures.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// A server that froze gets up to this many times longer before it is given up again: it may be decoding a large
/// transaction that is not for us.
const PATIENCE_MAX: u32 = 16;

/// Everything the source runs with.
pub struct Source {
    /// What [`super::prepare`] found.
    pub prepared: Prepared,
    /// What [`Prepared::plan`] decided.
    pub plan: Plan,
    /// The tape's writer.
    pub writer: Writer,
    /// What opening the tape found.
    pub recovered: Recovered,
    /// Where the source says what it does.
    pub status: StatusHandle,
    /// Told how long each fsync of the tape took.
    pub on_sync: OnSync,
}

/// Hears how long something took.
pub type OnSync = Arc<dyn Fn(Duration) + Send + Sync>;

impl Source {
    /// Runs until `cancel` (then everything is durable and confirmed, within a few seconds even if the server hangs) or an
    /// error that a new connection cannot mend. `tape_dir` is where the writer writes. The loop has a thread of its own.
    pub async fn run(self, tape_dir: &Path, cancel: CancellationToken) -> Result<(), Error> {
        let Self { prepared, plan, writer, recovered, status, on_sync } = self;
        let settings = prepared.settings.clone();
        status.update(|s| {
            s.system_id = prepared.server.system_id;
            s.server_version.clone_from(&prepared.server.version);
            s.timeline = prepared.server.timeline;
            s.tables = prepared.table_statuses();
            s.alarms = prepared.alarms();
            s.durable = recovered.end;
            s.received = recovered.end;
        });
        let known = Known::load(tape_dir, recovered.end, writer.watermark())?;
        let mut appender =
            Appender::new(writer, known, Seen::load(&settings.state_dir)?, settings.fsync_every, on_sync);
        if recovered.origin.as_ref().is_some_and(|origin| *origin != prepared.origin())
            && recovered.copy_pending.is_none()
        {
            appender.writer.roll(&appender.known.preamble())?; // The writer began a segment without describing the tables.
        }
        let side = cancel.child_token();
        let (sender, catalog) = mpsc::channel(1);
        tokio::spawn(poll::poll(prepared.clone(), status.clone(), sender, side.clone()));
        if prepared.publication.has(&heartbeat::table()) {
            let activity = appender.activity.clone();
            let every = settings.heartbeat_every;
            tokio::spawn(heartbeat::write_now_and_then(settings.address.clone(), every, activity, side.clone()));
        }
        let supervisor = Supervisor {
            prepared,
            appender,
            catalog,
            status: status.clone(),
            cancel,
            failures: 0,
            patience: 1,
            walsender: None,
        };
        let result = supervisor.on_a_thread(plan).await;
        side.cancel();
        status.update(|s| {
            s.state = State::Stopped;
            s.last_error = result.as_ref().err().map(ToString::to_string);
        });
        result
    }
}

struct Supervisor {
    prepared: Prepared,
    appender: Appender,
    catalog: mpsc::Receiver<poll::Looked>,
    status: StatusHandle,
    cancel: CancellationToken,
    /// Connections lost in a row.
    failures: u32,
    /// How many times the usual silence is borne.
    patience: u32,
    /// The server's process of our last stream.
    walsender: Option<i32>,
}

impl Supervisor {
    /// The loop waits for fsync and pauses between reads, so it does so on a thread of its own.
    async fn on_a_thread(self, plan: Plan) -> Result<(), Error> {
        let (done, result) = oneshot::channel();
        let failed = |error: std::io::Error| Error::Retry(format!("start the ingest thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("ingest".into())
            .spawn(move || {
                let _ = done.send(runtime.block_on(self.supervise(plan))); // Nobody waits any more.
            })
            .map_err(failed)?;
        result.await.unwrap_or_else(|_| Err(Error::Retry("the ingest thread ended in a panic".into())))
    }

    async fn supervise(mut self, plan: Plan) -> Result<(), Error> {
        if let Plan::FirstCopy { epoch, drop_slot: mut ours } = plan {
            loop {
                let copy = first_copy(&self.prepared, &mut self.appender, epoch, &mut ours, &self.status);
                match self.cancel.run_until_cancelled(copy).await {
                    Some(Ok(())) => break,
                    Some(Err(error)) => {
                        self.appender.abandon()?;
                        if let Err(error) = self.after(error).await {
                            if matches!(error, Error::Refused(_)) {
                                give_up(&self.prepared, &mut self.appender, epoch, ours).await;
                            }
                            return Err(error);
                        }
                    }
                    None => return self.appender.abandon(),
                }
            }
        }
        let begun = Instant::now();
        loop {
            let started = Instant::now();
            match self.connection(begun).await {
                Ok(()) => return Ok(()),
                // The first failure of the writer is the reason; asked again, it would only say that it has stopped.
                Err(error @ Error::Tape(_)) => return Err(error),
                Err(error) => {
                    self.appender.abandon()?;
                    self.appender.sync()?;
                    if started.elapsed() >= GOOD_AFTER {
                        self.failures = 0;
                    }
                    self.after(error).await?;
                }
            }
            if self.cancel.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Passes on what a new connection cannot mend; else waits before the next.
    async fn after(&mut self, error: Error) -> Result<(), Error> {
        match &error {
            Error::Retry(_) => {}
            // Once it has worked, a log-in or a TLS handshake that fails may be a server that is just going or coming.
            Error::Refused(refusal) if refusal.kind == Kind::Unreachable => {}
            Error::Refused(_) | Error::Tape(_) => return Err(error),
        }
        if self.failures == 0 {
            tracing::warn!(%error, "the connection was lost; connecting again");
        } else {
            tracing::debug!(%error, failures = self.failures, "still no connection");
        }
        self.status.update(|s| {
            s.state = State::Reconnecting;
            s.reconnects += 1;
            s.last_error = Some(error.to_string());
        });
        back_off(self.failures, &self.cancel).await;
        self.failures += 1;
        Ok(())
    }

    /// One connection: asked, compared with the tape, streamed.
    async fn connection(&mut self, begun: Instant) -> Result<(), Error> {
        let cancel = self.cancel.clone();
        let Some(opened) = cancel.run_until_cancelled(self.open(begun)).await else { return Ok(()) };
        let receiver = opened?;
        let settings = &self.prepared.settings;
        let frozen_after = settings.frozen_after * self.patience;
        let server = Conversation::new(receiver, settings.status_interval, frozen_after);
        let refresher = Refresher::new(&self.prepared, &self.status);
        let before = self.appender.writer.end();
        let ended = ingest(&mut self.appender, server, refresher, &mut self.catalog, &self.status, &self.cancel).await;
        let moved = self.appender.writer.end() > before;
        self.patience = if moved { 1 } else { (self.patience * 2).min(PATIENCE_MAX) };
        ended
    }

    async fn open(&mut self, begun: Instant) -> Result<Receiver, Error> {
        let prepared = &self.prepared;
        let settings = &prepared.settings;
        let session = pg::connect(&settings.address, Purpose::Control).await.doing("connect")?;
        let mut wire = server::connect_wire(&settings.address, &streaming(settings)).await?;
        let server = server::ask(&mut wire, &session).await?;
        server.check()?;
        let slot = slot::show(&session, &settings.slot).await?;
        let tape = TapeState {
            end: self.appender.writer.end(),
            epoch: self.appender.writer.epoch(),
            origin: Some(Origin { timeline: prepared.server.timeline, ..prepared.origin() }),
            copy_pending: None,
            heartbeat: self.appender.heartbeat.newest_saved(),
        };
        let Plan::Resume { from } = plan(&server, slot.as_ref(), &settings.slot, &tape)? else {
            unreachable!("a tape with an epoch and no open copy resumes");
        };
        if let Some((pid, application)) = slot.and_then(|slot| slot.active) {
            if self.walsender == Some(pid) && application == Purpose::Stream.application_name() {
                // It serves a connection that we gave up and that the server still believes in.
                session.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.doing("end our last walsender")?;
            }
            return Err(in_use(
                &settings.slot,
                pid,
                &application,
                self.walsender.is_some() || begun.elapsed() < SLOT_IN_USE_MAX,
            ));
        }
        let described = poll::described(prepared, &session).await?;
        self.appender.known.compare_catalog(&described);
        let walsender = wire.backend_pid();
        let receiver = Receiver::start(wire, &settings.slot, &settings.publication, from).await?;
        // The slot is ours now and nobody else can move it: if it is past the tape's end now, it was moved just before.
        let confirmed = slot::show(&session, &settings.slot).await?.map_or(Lsn::ZERO, |slot| slot.confirmed);
        if confirmed > from {
            let what = format!("slot {} was moved to {confirmed}, past the tape's end {from}", settings.slot);
            return Err(Refusal::new(Kind::Slot, what, "restore the tape, or copy again: pgtape slot reset").into());
        }
        tracing::info!(slot = settings.slot, from = %from, server = %settings.address, "streaming");
        self.walsender = walsender;
        Ok(receiver)
    }
}

/// `passing`: it may be over soon, as when our own predecessor is ending.
fn in_use(slot: &str, pid: i32, application: &str, passing: bool) -> Error {
    let what = format!("slot {slot} is in use by process {pid} ('{application}') of the server");
    if passing {
        return Error::Retry(what);
    }
    Refusal::new(Kind::Slot, what, "stop that pgtape, or name another --slot").into()
}
