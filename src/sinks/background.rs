//! Checkpoints in the background: a view never changes, so writing one makes nobody wait.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::checkpoints;
use super::control::{CheckpointReply, ControlError};
use super::cursor;
use super::standby::{StandbyReader, View};
use crate::model::{Lsn, Position};
use crate::pg::{self, Address, Purpose};
use crate::tape::Pins;

/// Under this name the sinks pin the tape.
pub const PIN: &str = "sinks";
/// Under names that begin with this, sinks pin the rows as they were.
pub const ROWS_PIN: &str = "rows.";
/// Writing checkpoints takes at most one part in so many of the time.
const IDLE_SHARE: u32 = 20;
/// Without changes a checkpoint is written after so many bytes of WAL, so that the tape need not be kept.
const QUIET_BYTES: u64 = 256 << 20;
/// A larger view is not written once more at the stop, bytes: that must be quick.
const LAST_BYTES_MAX: u64 = 512 << 20;

/// Where checkpoints go, and whom they must serve.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) system_id: u64,
    pub(super) pins: Pins,
    /// The server and the roll-ups whose positions keep checkpoints.
    pub(super) rollups: Option<(Address, Vec<String>)>,
}

/// Says when the last checkpoint was written, and how long that took.
#[derive(Debug, Clone, Copy)]
struct Last {
    lsn: Lsn,
    at: Instant,
    took: Duration,
    running: bool,
}

/// Writes checkpoints when they are due.
pub(super) struct Checkpointer {
    place: Place,
    every: Duration,
    last: Arc<Mutex<Last>>,
    /// Held while one is written.
    writing: Arc<Mutex<()>>,
    dirty: bool,
}

impl Checkpointer {
    /// The last one was at `lsn`; zero for none.
    pub(super) fn new(place: Place, every: Duration, lsn: Lsn) -> Self {
        let last = Last { lsn, at: Instant::now(), took: Duration::ZERO, running: false };
        Self { place, every, last: Arc::new(Mutex::new(last)), writing: Arc::default(), dirty: false }
    }

    /// Rows have changed.
    pub(super) fn changed(&mut self, activity: bool) {
        self.dirty |= activity;
    }

    /// Writes one if it is due.
    pub(super) fn consider(&mut self, reader: &StandbyReader) {
        let last = *lock(&self.last);
        let view = reader.view();
        let first = last.lsn == Lsn::ZERO && view.epoch > 0;
        let old = last.at.elapsed() >= self.every.max(last.took * IDLE_SHARE);
        let changed = self.dirty || view.position.lsn.bytes_since(last.lsn) >= QUIET_BYTES;
        if !last.running && (first || (old && changed && view.position.lsn > last.lsn)) {
            self.now(reader, None);
        }
    }

    /// Writes one now.
    pub(super) fn now(&mut self, reader: &StandbyReader, done: Option<CheckpointReply>) {
        self.dirty = false;
        lock(&self.last).running = true;
        let (place, last, writing, view) =
            (self.place.clone(), Arc::clone(&self.last), Arc::clone(&self.writing), reader.view());
        let write = move || {
            let _one_at_a_time = lock(&writing);
            let written = write(&place, &view, &last);
            lock(&last).running = false;
            let answer = written.map_err(|error| {
                tracing::error!(%error, "write a checkpoint");
                ControlError::Failed(format!("write a checkpoint: {error}"))
            });
            done.map(|done| done.send(answer))
        };
        if let Err(error) = std::thread::Builder::new().name("checkpoint".into()).spawn(write) {
            tracing::error!(%error, "start the thread that writes checkpoints");
            lock(&self.last).running = false;
        }
    }

    /// Writes one before the end, on this thread, if that is quick.
    pub(super) fn last(&mut self, view: &View) {
        let _one_at_a_time = lock(&self.writing);
        let wanted = self.dirty || lock(&self.last).lsn == Lsn::ZERO;
        if wanted
            && view.bytes() <= LAST_BYTES_MAX
            && let Err(error) = write(&self.place, view, &self.last)
        {
            tracing::warn!(%error, "write the last checkpoint");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(place: &Place, view: &View, last: &Mutex<Last>) -> std::io::Result<Position> {
    let lsn = view.position.lsn;
    if view.epoch == 0 || lsn == lock(last).lsn {
        return Ok(view.position);
    }
    let began = Instant::now();
    checkpoints::write(&place.dir, view, place.system_id)?;
    *lock(last) = Last { lsn, at: Instant::now(), took: began.elapsed(), running: true };
    tracing::debug!(position = %view.position, bytes = view.bytes(), "checkpoint written");
    prune(place)?;
    Ok(view.position)
}

/// Removes checkpoints that nobody needs, by the positions as they are in Postgres *now*: someone may have rewound one.
/// Without an answer nothing is removed.
fn prune(place: &Place) -> std::io::Result<()> {
    let lowest = match &place.rollups {
        None => None,
        Some((address, names)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            match runtime.block_on(lowest(address, names)) {
                Ok(lowest) => Some(lowest),
                Err(error) => {
                    tracing::debug!(%error, "checkpoints are not pruned");
                    return Ok(());
                }
            }
        }
    };
    checkpoints::prune(&place.dir, lowest.into_iter().chain(rows_needed(&place.pins)).min())?;
    place.pins.set(PIN, checkpoints::pinned(&place.dir)?.unwrap_or(Lsn::ZERO));
    Ok(())
}

/// What other sinks need old rows for: none is needed before they have said where they stand.
fn rows_needed(pins: &Pins) -> Option<Lsn> {
    let rows = |(name, lsn): (String, Lsn)| (name.starts_with(ROWS_PIN) && lsn > Lsn::ZERO).then_some(lsn);
    pins.all().into_iter().filter_map(rows).min()
}

async fn lowest(address: &Address, names: &[String]) -> Result<Lsn, pg::Error> {
    let session = pg::connect(address, Purpose::Control).await?;
    let mut lowest = Lsn(u64::MAX);
    for name in names {
        let stored = cursor::read(&*session, name).await?;
        lowest = lowest.min(stored.map_or(Lsn::ZERO, |stored| stored.lsn));
    }
    Ok(lowest)
}
