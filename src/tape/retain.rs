//! Which segments go, oldest first.
//!
//! Invariant: a segment is deleted only when it is sealed, every pin is durably past it, and the history that was asked
//! for is kept without it. Only a disk budget overrides the pins, and then what is lost is said, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{self, fail_here};
use super::reader::oldest_base;
use super::recover::sealed_end;
use super::window::Window;
use super::{Error, Watermark};
use crate::model::Lsn;

/// How far each consumer is durably done. Clones share the pins.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<BTreeMap<String, Lsn>>>);

impl Pins {
    /// No pins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `name` will never again need what lies at or below `lsn`.
    pub fn set(&self, name: &str, lsn: Lsn) {
        self.lock().insert(name.to_owned(), lsn);
    }

    /// `name` needs nothing any more.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// All pins, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Lsn)> {
        self.lock().iter().map(|(name, lsn)| (name.clone(), *lsn)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Lsn>> {
        // A map of positions is whole even if a thread died while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to keep besides what the pins need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Keep at least this many bytes of tape.
    pub history_bytes: u64,
    /// Keep segments with a commit younger than this, microseconds.
    pub history_us: i64,
    /// Never keep more than this, bytes, whatever the pins say; `None`: the pins decide.
    pub budget_bytes: Option<u64>,
}

/// What a pin lost to the budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The pin.
    pub pin: String,
    /// It is done up to here,
    pub from: Lsn,
    /// and the tape now begins after here.
    pub to: Lsn,
}

/// What a round of retention did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments deleted.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Everything after this is still held.
    pub oldest: Lsn,
    /// Pins whose data the budget took. Those consumers must be rebuilt.
    pub lost: Vec<Lost>,
}

/// A sealed segment.
#[derive(Debug)]
struct Sealed {
    path: PathBuf,
    bytes: u64,
    last: Lsn,
    latest_us: i64,
}

/// Deletes what may go. `now_us` is the time now, microseconds since the Unix epoch.
pub fn retain(dir: &Path, watermark: &Watermark, pins: &Pins, policy: &Policy, now_us: i64) -> Result<Retained, Error> {
    let newest = watermark.get().segment;
    let pins = pins.all();
    let numbers: Vec<u64> = disk::segments(dir)?;
    let mut held = 0;
    for number in &numbers {
        held += bytes_of(&disk::segment_path(dir, *number))?;
    }
    let mut done = Retained::default();
    for number in numbers.into_iter().filter(|number| *number < newest) {
        let segment = sealed(dir, number)?;
        let over_budget = policy.budget_bytes.is_some_and(|budget| held > budget);
        let needed = pins.iter().any(|(_name, lsn)| *lsn < segment.last);
        let history = held - segment.bytes < policy.history_bytes
            || (policy.history_us > 0 && segment.latest_us > now_us.saturating_sub(policy.history_us));
        if !over_budget && (needed || history) {
            break;
        }
        delete(dir, &segment)?;
        held -= segment.bytes;
        done.segments += 1;
        done.bytes += segment.bytes;
        done.lost = lost(&pins, segment.last);
    }
    for lost in &done.lost {
        tracing::error!(pin = %lost.pin, from = %lost.from, to = %lost.to, "the disk budget took what a consumer still needed; rebuild it");
    }
    done.oldest = oldest_base(dir)?;
    Ok(done)
}

fn lost(pins: &[(String, Lsn)], to: Lsn) -> Vec<Lost> {
    let behind = pins.iter().filter(|(_name, lsn)| *lsn < to);
    behind.map(|(pin, from)| Lost { pin: pin.clone(), from: *from, to }).collect()
}

fn bytes_of(path: &Path) -> Result<u64, Error> {
    Ok(std::fs::metadata(path).map_err(|e| Error::io("look at", path, e))?.len())
}

fn sealed(dir: &Path, number: u64) -> Result<Sealed, Error> {
    let mut window = Window::open(dir, number)?;
    let state = sealed_end(&mut window, number, None)?;
    let (_earliest, latest_us) = state.footer.times_us;
    Ok(Sealed { path: window.path().to_owned(), bytes: state.offset, last: state.end, latest_us })
}

/// Removes one segment durably, so that the tape never has a hole.
fn delete(dir: &Path, segment: &Sealed) -> Result<(), Error> {
    fail_here!("tape::retain-before-delete", &segment.path);
    std::fs::remove_file(&segment.path).map_err(|e| Error::io("remove", &segment.path, e))?;
    fail_here!("tape::retain-before-dir-sync", &segment.path);
    disk::sync_dir(dir)?;
    tracing::info!(file = %segment.path.display(), bytes = segment.bytes, last = %segment.last, "removed a segment");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, unit};
    use super::super::{Kind, Writer};
    use super::*;

    /// Segments that end at 10, 20, 30, and a newest one; commit times equal LSNs.
    fn tape() -> (tempfile::TempDir, Writer, u64) {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = open(dir.path());
        for lsn in [10, 20, 30] {
            unit(&mut writer, Kind::Stream, lsn, &[b"I"]);
            writer.roll(&[]).unwrap();
        }
        let bytes = bytes_of(&disk::segment_path(dir.path(), 1)).unwrap();
        (dir, writer, bytes)
    }

    #[test]
    fn a_segment_goes_when_nobody_needs_it() {
        let check = |pins: &[(&str, u64)], history: (u64, i64), budget: Option<u64>, want: (u64, u64, &[&str])| {
            let (dir, writer, each) = tape();
            let held = Pins::new();
            pins.iter().for_each(|(name, lsn)| held.set(name, Lsn(*lsn)));
            let policy = Policy {
                history_bytes: history.0 * each,
                history_us: history.1,
                budget_bytes: budget.map(|segments| segments * each),
            };
            let done = retain(dir.path(), &writer.watermark(), &held, &policy, 40).unwrap();
            let lost: Vec<&str> = done.lost.iter().map(|lost| &*lost.pin).collect();
            assert_eq!((done.segments, done.oldest.0, &lost[..]), want, "{pins:?} {policy:?}");
        };
        check(&[], (0, 0), None, (3, 30, &[]));
        check(&[("standby", 20), ("rollup", 29)], (0, 0), None, (2, 20, &[]));
        check(&[("standby", 30), ("rollup", 9)], (0, 0), None, (0, 0, &[]));
        check(&[], (2, 0), None, (1, 10, &[]));
        check(&[], (0, 20), None, (2, 20, &[]));
        check(&[("standby", 30), ("rollup", 9)], (0, 0), Some(2), (2, 20, &["rollup"]));
    }
}
