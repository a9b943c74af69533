//! The acknowledgement record: what an actor was promised, kept outside Postgres.
//!
//! A file of lines, each `<crc32c of the JSON, 8 hex digits> <JSON>\n`:
//!
//! ```text
//!  header  {"record":"perplex","seed":7,"start_us":1700000000000000,"tick_us":10000,"acknowledged":0,"lsn":"0/0"}
//!  rows    {"row":{table, key, after}}          only at the head, written by compaction
//!  begin   {"begin":{number, event, effects}}   before the event is sent
//!  ack     {"ack":{number, lsn}}                after its commit was answered; fsynced
//! ```
//!
//! Invariants: an acknowledgement is on disk before the next event begins; at most one event is in flight; numbers have
//! no holes. A `begin` is written but not fsynced: a killed process leaves it to the kernel, which is the failure this is
//! for. A last line without its newline was cut by a kill and does not count; any other damage is refused.

mod file;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::actor::Effect;
use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};
use file::{Line, encode};
pub use state::{Clock, InFlight, RowKey, State};

/// The file grows to this, and to twice its content after the last compaction, before it is compacted.
pub const COMPACT_BYTES_MIN: u64 = 8 << 20;

/// Most rows a record keeps; an actor with more must end (its simulation was asked to run too long).
pub const ROWS_MAX: usize = 4_000_000;

/// A record that an actor writes.
pub struct Record {
    path: PathBuf,
    file: File,
    bytes: u64,
    compact_at: u64,
    state: State,
}

/// What can go wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read, written or synced; the record can no longer be trusted with promises.
    #[error("{doing} {path}")]
    Io {
        /// A verb phrase.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process writes it, it is damaged, or it belongs to another simulation.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Record {
    /// Opens the record of `name` in `dir`, or begins it. One process at a time; a record of another seed is refused.
    /// The clock of an existing record stands.
    pub fn open(dir: &Path, name: &str, seed: u64, clock: Clock) -> Result<Self, Error> {
        let path = path_of(dir, name);
        let failed = |doing, source| Error::Io { doing, path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed("create the directory of", e))?;
        let fresh = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed("open", e))?;
        lock(&file, &path)?;
        let (state, good_bytes) = if fresh { (None, 0) } else { file::read(&path)? };
        let state = match state {
            Some(state) if state.seed != seed => return Err(other_seed(&path, state.seed, seed).into()),
            Some(state) => state,
            None => State::new(name, seed, clock),
        };
        file.set_len(good_bytes).map_err(|e| failed("cut the torn end of", e))?;
        let mut record = Self { path, file, bytes: good_bytes, compact_at: COMPACT_BYTES_MIN, state };
        if good_bytes == 0 {
            record.append(&Line::header(&record.state))?;
            record.sync()?;
            file::sync_directory(dir)?;
        }
        Ok(record)
    }

    /// What is promised.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The event is about to be sent; its number is the count of acknowledged events.
    pub fn begin<E: Serialize>(&mut self, event: &E, effects: Vec<Effect>) -> Result<(), Error> {
        let event = serde_json::to_value(event).expect("an event is plain data");
        let in_flight = InFlight { number: self.state.acknowledged, event, effects };
        self.append(&Line::Begin(in_flight.clone()))?;
        self.state.begin(in_flight);
        Ok(())
    }

    /// Postgres has answered the event in flight; `lsn` is its read-your-writes token. Returns when that is on disk.
    pub fn acknowledge(&mut self, lsn: Lsn) -> Result<(), Error> {
        let number = self.state.acknowledged;
        self.append(&Line::Ack { number, lsn: lsn.to_string() })?;
        self.sync()?;
        self.state.acknowledge(lsn);
        if self.bytes >= self.compact_at {
            self.compact()?;
        }
        if self.state.rows() > ROWS_MAX {
            let what = format!("{} holds more than {ROWS_MAX} rows", self.path.display());
            return Err(Refusal::new(Kind::Usage, what, "run a shorter simulation, or begin a new record").into());
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        let text = encode(line);
        self.file.write_all(text.as_bytes()).map_err(|source| self.failed("append to", source))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))
    }

    /// Rewrites the file as header and rows: its size follows the rows there are, not the events there were.
    fn compact(&mut self) -> Result<(), Error> {
        let (file, bytes) = file::rewrite(&self.path, &self.state)?;
        lock(&file, &self.path)?;
        self.file = file;
        self.bytes = bytes;
        self.compact_at = COMPACT_BYTES_MIN.max(bytes * 2);
        Ok(())
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> Error {
        Error::Io { doing, path: self.path.clone(), source }
    }
}

/// Reads the records in `dir` without writing to them: for the final check. Sorted by name.
pub fn read_all(dir: &Path) -> Result<Vec<State>, Error> {
    let failed = |source| Error::Io { doing: "list", path: dir.to_owned(), source };
    let mut states = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "record") {
            states.extend(file::read(&path)?.0);
        }
    }
    states.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(states)
}

fn path_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.record"))
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { doing: "lock", path: path.to_owned(), source };
    if crate::lock::take(file).map_err(failed)? {
        return Ok(());
    }
    let what = format!("another simulation writes {}", path.display());
    Err(Refusal::new(Kind::Locked, what, "stop it, or choose another record directory").into())
}

fn other_seed(path: &Path, theirs: u64, ours: u64) -> Refusal {
    Refusal::new(
        Kind::Usage,
        format!("{} belongs to seed {theirs}, not {ours}", path.display()),
        "use its seed to go on with it, or another record directory",
    )
}

/// An event of the record as the actor's own type.
pub(super) fn decode_event<E: serde::de::DeserializeOwned>(event: &Value) -> Result<E, Refusal> {
    serde_json::from_value(event.clone()).map_err(|error| {
        let what = format!("the record's event in flight is not one of this version's: {error}");
        Refusal::new(Kind::Usage, what, "finish it with the version that wrote it, or begin a new record")
    })
}
