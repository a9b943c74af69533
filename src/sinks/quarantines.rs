//! The quarantines of all sinks of this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::Error;
use super::quarantine::{self, Quarantine};
use super::standby::Note;
use crate::model::Position;

/// The quarantines of all sinks. Clones share them.
#[derive(Debug, Clone)]
pub struct Quarantines {
    dir: PathBuf,
    all: Arc<Mutex<BTreeMap<String, Quarantine>>>,
}

impl Quarantines {
    /// Those of `sinks`, in `dir`.
    pub(super) fn open(dir: PathBuf, sinks: impl Iterator<Item = String>) -> Result<Self, Error> {
        let open = |sink: String| {
            let quarantine = Quarantine::open(&dir, &sink).map_err(Error::io("open the quarantine in", &dir))?;
            Ok::<_, Error>((sink, quarantine))
        };
        let all: BTreeMap<String, Quarantine> = sinks.map(open).collect::<Result<_, _>>()?;
        Ok(Self { dir, all: Arc::new(Mutex::new(all)) })
    }

    /// Keeps what `sink` could not use at `position`.
    pub(super) fn note(&self, sink: &str, notes: &[Note], position: Position) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        let mut all = self.all.lock().expect("nobody panics while holding it");
        let quarantine = all.get_mut(sink).expect("opened at the start");
        quarantine.note(notes, position).map_err(Error::io("write the quarantine in", &self.dir))
    }

    /// Rows that `sink` cannot use, and how many there ever were.
    #[must_use]
    pub fn count(&self, sink: &str) -> quarantine::Count {
        let mut all = self.all.lock().expect("nobody panics while holding it");
        all.get_mut(sink).map_or_else(quarantine::Count::default, Quarantine::count)
    }
}
