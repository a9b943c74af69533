//! From messages to the tape: what the assembler decides, done to the writer.
//!
//! Invariants: `received` >= everything appended >= what `sync` calls durable; a new segment begins with the description
//! of every table known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Durable, Writer};

use super::assemble::{AssembleError, Assembler, Step};
use super::error::Error;
use super::heartbeat::Seen;
use super::held_back::HeldBack;
use super::known::Known;
use super::run::OnSync;

/// Bytes appended since the last sync that make the next one due, so that none takes long.
const UNSYNCED_BYTES_MAX: u64 = 8 << 20;

/// The tape's end of the source.
pub(super) struct Appender {
    pub writer: Writer,
    pub known: Known,
    pub heartbeat: Seen,
    assembler: Assembler,
    fsync_every: Duration,
    unsynced_since: Option<Instant>,
    unsynced_bytes: u64,
    /// Whether the unit at hand holds something else than heartbeats.
    foreign: bool,
    /// Units appended that were not only heartbeats.
    pub activity: Arc<AtomicU64>,
    /// Units appended.
    pub units: u64,
    on_sync: OnSync,
    held_back: HeldBack,
}

impl Appender {
    pub fn new(writer: Writer, known: Known, heartbeat: Seen, fsync_every: Duration, on_sync: OnSync) -> Self {
        let mut appender = Self {
            writer,
            known,
            heartbeat,
            assembler: Assembler::default(),
            fsync_every,
            unsynced_since: None,
            unsynced_bytes: 0,
            foreign: false,
            activity: Arc::default(),
            units: 0,
            on_sync,
            held_back: HeldBack::default(),
        };
        appender.find_heartbeat();
        appender
    }

    /// Takes a message of the stream.
    pub fn take(&mut self, wal_start: Lsn, raw: &[u8]) -> Result<(), Error> {
        if self.held_back.keeps(wal_start, raw) {
            return Ok(());
        }
        while let Some((wal_start, relation)) = self.held_back.needed_by(raw) {
            self.known.announced(&relation)?;
            self.take_in(wal_start, &relation)?;
        }
        if raw.first() == Some(&b'Y') {
            self.known.typed(raw)?;
        }
        self.take_in(wal_start, raw)
    }

    fn take_in(&mut self, wal_start: Lsn, raw: &[u8]) -> Result<(), Error> {
        match self.assembler.take(raw, self.writer.end()).map_err(refuse)? {
            Step::Nothing => {}
            Step::OpenAndPush(begin) => {
                self.writer.begin(tape::Begin {
                    kind: tape::Kind::Stream,
                    xid: begin.xid,
                    begin_lsn: begin.final_lsn,
                    commit_time_us: begin.commit_time_us,
                    tables: Vec::new(),
                })?;
                self.push(wal_start, raw)?;
            }
            Step::Push => self.push(wal_start, raw)?,
            Step::Commit(commit) => {
                fail::fail_point!("source::before-commit");
                self.writer.commit(commit.commit_lsn, commit.end_lsn)?;
                self.committed()?;
            }
            Step::Empty(end) => self.progress(end)?,
            Step::Alone(lsn) => {
                let kind = tape::Kind::Message;
                self.writer.begin(tape::Begin {
                    kind,
                    xid: 0,
                    begin_lsn: lsn,
                    commit_time_us: 0,
                    tables: Vec::new(),
                })?;
                self.push(wal_start, raw)?;
                self.writer.commit(lsn, lsn)?;
                self.committed()?;
            }
        }
        Ok(())
    }

    fn push(&mut self, wal_start: Lsn, raw: &[u8]) -> Result<(), Error> {
        fail::fail_point!("source::mid-transaction");
        self.foreign |= match raw.first() {
            Some(b'R' | b'Y') => false,
            Some(b'I' | b'U' | b'D') => !self.heartbeat.note(raw),
            _ => true,
        };
        self.unsynced_bytes += raw.len() as u64;
        Ok(self.writer.push(wal_start, raw)?)
    }

    /// A unit is complete.
    pub fn committed(&mut self) -> Result<(), Error> {
        self.units += 1;
        if std::mem::take(&mut self.foreign) {
            self.activity.fetch_add(1, Ordering::Relaxed);
        }
        self.unsynced_since.get_or_insert_with(Instant::now);
        if self.writer.roll_due() {
            self.writer.roll(&self.known.preamble())?;
        }
        Ok(())
    }

    /// The server has sent everything up to `lsn`.
    pub fn progress(&mut self, lsn: Lsn) -> Result<(), Error> {
        if self.assembler.is_between() && lsn > self.writer.end() {
            self.writer.progress(lsn)?;
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Adds a copied row, or what must stand before it, to the open unit.
    pub fn push_copied(&mut self, point: Lsn, message: &[u8]) -> Result<(), Error> {
        self.writer.push(point, message)?;
        self.unsynced_bytes += message.len() as u64;
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        Ok(())
    }

    /// When a sync is due; `None` if there is nothing to confirm and little to write.
    pub fn sync_due_at(&self, now: Instant) -> Option<Instant> {
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            return Some(now);
        }
        self.unsynced_since.map(|since| since + self.fsync_every)
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<Durable, Error> {
        fail::fail_point!("source::before-sync");
        let started = self.unsynced_since.map(|_| Instant::now());
        let durable = self.writer.sync()?;
        if let Some(started) = started {
            (self.on_sync)(started.elapsed());
        }
        fail::fail_point!("source::after-sync");
        self.unsynced_since = None;
        self.unsynced_bytes = 0;
        if self.is_between() {
            self.heartbeat.save();
        }
        Ok(durable)
    }

    /// The connection ended: what is cut is taken back, the server sends it again.
    pub fn abandon(&mut self) -> Result<(), Error> {
        self.assembler = Assembler::default();
        self.held_back = HeldBack::default();
        self.foreign = false;
        Ok(self.writer.abandon()?)
    }

    /// Whether no transaction is in flight.
    pub fn is_between(&self) -> bool {
        self.assembler.is_between()
    }

    /// Whether everything from the next message on ends after `point`.
    pub fn is_past(&self, next: &[u8], point: Lsn) -> bool {
        self.assembler.is_past(next, point)
    }

    /// Learns where the heartbeat stands in the stream.
    pub fn find_heartbeat(&mut self) {
        self.heartbeat.find(self.known.relation(&super::heartbeat::table()));
    }
}

fn refuse(error: AssembleError) -> Error {
    match error {
        AssembleError::Decode(error) => error.into(),
        AssembleError::Order { .. } => {
            let hint = "nothing of it was confirmed; report this, with the server's version";
            Refusal::new(Kind::Server, error.to_string(), hint).into()
        }
    }
}
