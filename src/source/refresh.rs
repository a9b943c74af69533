//! Copying tables again at one exact position, in the middle of the stream.
//!
//! ```text
//!  hold      no event is taken; a temporary slot with an exported snapshot is made: its point C is past all taken so far
//!  wait      the stream goes on until its next event is past C
//!  write     rows under the snapshot become one Refresh unit at C; then the stream goes on
//! ```
//!
//! Invariant: every unit before the Refresh ends below C, every one after it above: the rows replaced are exactly those.
//! The slot waits for open transactions, so the hold is bounded and tried again later; updates are sent all the while.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::model::TableName;
use crate::pg::{self, Purpose, Session, Wire};
use crate::tape;

use super::append::Appender;
use super::conversation::Conversation;
use super::copy::{self, CopyError, Guard};
use super::error::{Doing, Error};
use super::first_copy::list;
use super::prepare::Prepared;
use super::receive::Event;
use super::slot::{self, Created};
use super::{State, StatusHandle, server};

/// The stream is held at most this long for a slot to be made.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// Characters of the slot's name that a temporary slot's name begins with; the rest says which it is.
const SLOT_NAME_SHARE: usize = 40;
/// After a hold in vain the next is tried this much later, doubled each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// But never later than this: the tables are stale until then.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A snapshot at `created.point`; alive as long as its session.
struct Snapshot {
    created: Created,
    names: Vec<TableName>,
    guard: Guard,
    session: Session,
    _wire: Wire,
}

/// Why there is no snapshot.
enum InVain {
    /// It may work later.
    Later(String),
    /// The connection is at an end.
    Failed(Error),
}

impl From<Error> for InVain {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Refreshes of one connection's stream.
pub(super) struct Refresher<'a> {
    prepared: &'a Prepared,
    status: &'a StatusHandle,
    snapshot: Option<Snapshot>,
    not_before: Instant,
    wait: Duration,
    /// Snapshots asked for; each slot has a name of its own, as the server may still be making the one given up.
    asked: u32,
}

impl<'a> Refresher<'a> {
    pub fn new(prepared: &'a Prepared, status: &'a StatusHandle) -> Self {
        Self { prepared, status, snapshot: None, not_before: Instant::now(), wait: RETRY_MIN, asked: 0 }
    }

    /// Whether a snapshot should be taken now: nothing is in flight, and tables are pending.
    pub fn is_wanted(&self, appender: &Appender, now: Instant) -> bool {
        self.snapshot.is_none() && appender.known.has_pending() && appender.is_between() && now >= self.not_before
    }

    /// Whether the Refresh unit must be written before `event` is taken.
    pub fn is_due(&self, event: &Event<'_>, appender: &Appender) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        match event {
            Event::Keepalive { wal_end, .. } => appender.is_between() && *wal_end >= snapshot.created.point,
            Event::Data { message, .. } => appender.is_past(message, snapshot.created.point),
        }
    }

    /// Takes the snapshot while the stream is held. In vain if open transactions last too long: later, then.
    pub async fn hold(&mut self, appender: &Appender, conversation: &mut Conversation) -> Result<(), Error> {
        self.status.update(|s| s.state = State::Refreshing);
        let names = appender.known.pending();
        self.asked += 1;
        match conversation.keep_up(self.take(names.clone())).await? {
            Ok(snapshot) => {
                tracing::info!(tables = %list(&names), position = %snapshot.created.point, "tables changed: copied again");
                self.snapshot = Some(snapshot);
                conversation.ask().await
            }
            Err(InVain::Failed(error)) => Err(error),
            Err(InVain::Later(why)) => {
                tracing::warn!(tables = %list(&names), "copying again is tried again later: {why}");
                self.later();
                Ok(())
            }
        }
    }

    fn later(&mut self) {
        self.not_before = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(RETRY_MAX);
        self.status.update(|s| s.state = State::Streaming);
    }

    async fn take(&self, names: Vec<TableName>) -> Result<Snapshot, InVain> {
        let (settings, version) = (&self.prepared.settings, self.prepared.server.version_number);
        let session = pg::connect(&settings.address, Purpose::Control).await.doing("connect")?;
        if slot::has_long_writers(&session).await? {
            return Err(InVain::Later("it waits for open transactions".into()));
        }
        let guard = Guard::note(&session, version, &settings.publication, &names).await?;
        let mut wire = server::connect_wire(&settings.address, &server::asking()).await?;
        let (slot, process) = (settings.slot.chars().take(SLOT_NAME_SHARE).collect::<String>(), std::process::id());
        let name = format!("{slot}_refresh_{process}_{}", self.asked % 1000);
        match slot::create_within(&mut wire, &session, version, &name, HOLD_MAX).await {
            Ok(Some(created)) => Ok(Snapshot { created, names, guard, session, _wire: wire }),
            Ok(None) => Err(InVain::Later(format!("open transactions held it up for {} s", HOLD_MAX.as_secs()))),
            // No slot to be had now, say: nothing that a running service should end for.
            Err(Error::Refused(refusal)) => Err(InVain::Later(refusal.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the Refresh unit. Void if a table changed under the copy: another snapshot is taken later.
    pub async fn write(&mut self, appender: &mut Appender, conversation: &mut Conversation) -> Result<(), Error> {
        let snapshot = self.snapshot.take().expect("is_due said so");
        let written = self.copy(&snapshot, appender, conversation).await;
        match &written {
            Ok(true) => self.wait = RETRY_MIN,
            Ok(false) | Err(_) => {
                appender.abandon()?;
                self.later();
            }
        }
        self.status.update(|s| s.state = State::Streaming);
        written.map(|_| ())
    }

    async fn copy(
        &self,
        snapshot: &Snapshot,
        appender: &mut Appender,
        conversation: &mut Conversation,
    ) -> Result<bool, Error> {
        let (settings, version) = (&self.prepared.settings, self.prepared.server.version_number);
        let point = snapshot.created.point;
        assert!(point > appender.writer.end(), "nothing past the point was taken");
        let scene = copy::look(settings, version, &snapshot.created.snapshot, &snapshot.names).await?;
        appender.writer.begin(tape::Begin {
            kind: tape::Kind::Refresh,
            xid: 0,
            begin_lsn: point,
            commit_time_us: scene.time_us,
            tables: snapshot.names.iter().map(ToString::to_string).collect(),
        })?;
        let mut copying = copy::start(settings, &snapshot.created.snapshot, &scene.tables);
        let mut rows = 0;
        loop {
            match conversation.keep_up(copying.next()).await? {
                None => break,
                Some(Err(CopyError::Failed(error))) => return Err(error),
                Some(Err(CopyError::Void(why))) => {
                    tracing::warn!("copying again is void, and tried again: {why}");
                    return Ok(false);
                }
                Some(Ok(batch)) => {
                    fail::fail_point!("source::mid-refresh");
                    rows += batch.rows;
                    for message in batch.messages() {
                        appender.push_copied(point, message)?;
                    }
                }
            }
        }
        if !snapshot.guard.holds(&snapshot.session, &scene.tables).await? {
            tracing::warn!("copying again is void, and tried again: a table was truncated or rewritten");
            return Ok(false);
        }
        appender.writer.commit(point, point)?;
        appender.known.replaced(&snapshot.names, &scene.tables);
        appender.find_heartbeat();
        appender.committed()?;
        tracing::info!(tables = %list(&snapshot.names), rows, position = %point, "tables replaced");
        Ok(true)
    }
}

/// Waits as long as the server should be left alone after the `failures`-th lost connection in a row.
pub(super) async fn back_off(failures: u32, cancel: &CancellationToken) {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    let wait = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
    let _ = cancel.run_until_cancelled(sleep(wait)).await;
}
