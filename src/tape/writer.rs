//! The tape's one writer.

use std::path::Path;

use bytes::Bytes;

use super::{Begin, Error, Intent, Origin, Proof, TapeId, Watermark};
use crate::model::Lsn;

/// An LSN up to which every byte of the tape has been fsynced. Only [`Writer::sync`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable(Lsn);

impl Durable {
    /// The LSN that may be confirmed to the slot.
    #[must_use]
    pub const fn lsn(self) -> Lsn {
        self.0
    }
}

/// How the tape is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment at least this long is due to be rolled, bytes.
    pub segment_bytes: u64,
    /// Whether frames are compressed where it pays.
    pub compress: bool,
    /// Size of the reserve file, bytes; 0 for none.
    pub reserve_bytes: u64,
    /// The watermark of an earlier writer, to go on with.
    pub watermark: Option<Watermark>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 128 << 20, compress: true, reserve_bytes: 16 << 20, watermark: None }
    }
}

/// What opening the tape found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The tape.
    pub tape_id: TapeId,
    /// Everything up to here is on the tape and durable.
    pub end: Lsn,
    /// The epoch; 0 until a first copy has been committed.
    pub epoch: u32,
    /// Position of the epoch's copy.
    pub copy_point: Lsn,
    /// The origin of the newest segment before this start; `None` for a tape just made.
    pub origin: Option<Origin>,
    /// A transaction that was cut short and is now abandoned: the server sends it again.
    pub unfinished: Option<Begin>,
    /// A first copy that was cut short and has been cut off: drop its slot and begin it again.
    pub copy_pending: Option<Intent>,
}

/// The writer. One exists per tape, by lock.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Opens the tape in `dir`, made if it is not there, and recovers it.
    pub fn open(_dir: &Path, _options: Options, _origin: Origin, _proof: &Proof) -> Result<(Self, Recovered), Error> {
        unimplemented!("in the next commits")
    }

    /// Begins a unit.
    pub fn begin(&mut self, _begin: Begin) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Adds a message (raw `pgoutput` bytes) to the open unit. `wal_start` as the server sent it, zero when unknown.
    pub fn push(&mut self, _wal_start: Lsn, _message: &[u8]) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Ends the open unit. `end_lsn` must be past [`Writer::end`].
    pub fn commit(&mut self, _commit_lsn: Lsn, _end_lsn: Lsn) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Takes the open unit back: the connection ended within it.
    pub fn abandon(&mut self) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Says that a first copy is about to be made. Sync after it, before the slot is created.
    pub fn intent(&mut self, _intent: Intent) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Nothing is in flight and the server has reached `lsn`. Ignored within a unit, during a copy, and at or below the end.
    pub fn progress(&mut self, _lsn: Lsn) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Writes down history that an operator agreed to lose, from the tape's end up to `to`.
    pub fn gap(&mut self, _to: Lsn, _reason: &str) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Whether [`Writer::roll`] is due; false within a unit.
    #[must_use]
    pub fn roll_due(&self) -> bool {
        unimplemented!("in the next commits")
    }

    /// Seals the segment and starts the next, whose head repeats `preamble` (raw Relation and Type messages).
    pub fn roll(&mut self, _preamble: &[Bytes]) -> Result<(), Error> {
        unimplemented!("in the next commits")
    }

    /// Makes everything committed so far durable. An error is final: see [`Error`].
    pub fn sync(&mut self) -> Result<Durable, Error> {
        unimplemented!("in the next commits")
    }

    /// End LSN of the last unit, gap or progress appended, durable or not.
    #[must_use]
    pub fn end(&self) -> Lsn {
        unimplemented!("in the next commits")
    }

    /// The epoch of [`Writer::end`].
    #[must_use]
    pub fn epoch(&self) -> u32 {
        unimplemented!("in the next commits")
    }

    /// The durable end, to read and to wait for.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        unimplemented!("in the next commits")
    }
}
