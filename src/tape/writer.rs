//! The tape's one writer: units become frames, frames become durable.
//!
//! Small units are gathered into one Batch frame; a unit that grows past `frame_bytes`, and every copy, becomes Parts
//! and counts with its Commit. Invariant: `end` only grows, and only [`Writer::sync`] makes a [`Durable`]. Pushing a
//! message allocates nothing once the buffer has grown.

mod open;
mod options;

use std::path::Path;

use bytes::Bytes;

use super::bodies::{Commit, encode_abandon, encode_gap, encode_intent, encode_progress};
use super::cursor::Saved;
use super::disk::{self, Lock};
use super::format::{FLAG_FIRST, FLAG_SCHEMA, FrameKind, PAYLOAD_BYTES_MAX, to_u64};
use super::records::{PART_HEAD_BYTES, UNIT_HEAD_BYTES, UnitHead, is_schema, part_head, put_record};
use super::segment::Appender;
use super::{Begin, End, Error, Gap, Intent, Kind, Origin, Proof, TapeId, Watermark, reserve};
use crate::model::Lsn;
use crate::refusal::{self, Refusal};

use open::open_tape;
pub use options::{Options, Recovered};

/// Longest message, bytes; those of Postgres are shorter.
const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// Longest setting of `frame_bytes`, bytes.
const FRAME_BYTES_MAX: usize = 512 << 10;
/// Two varints of at most 10 bytes stand before a message.
const RECORD_HEAD_BYTES_MAX: usize = 20;
const _: () =
    assert!(FRAME_BYTES_MAX + RECORD_HEAD_BYTES_MAX + MESSAGE_BYTES_MAX + UNIT_HEAD_BYTES < PAYLOAD_BYTES_MAX as usize);

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

/// The unit that is being written.
#[derive(Debug)]
struct Open {
    begin: Begin,
    /// Where its head (56 bytes, or a part's 24) and its records begin in the buffer.
    head_at: usize,
    records_at: usize,
    /// `wal_start` of the message before.
    previous: u64,
    messages: u64,
    /// Bytes of records in parts already appended.
    bytes: u64,
    schema: bool,
    part_schema: bool,
    /// Sequence number of its first part, once there is one.
    first_part: Option<u64>,
}

/// The writer. One exists per tape, by lock.
#[derive(Debug)]
pub struct Writer {
    segment: Appender,
    options: Options,
    /// Whole small units up to `whole`, then the open unit.
    buffer: Vec<u8>,
    whole: usize,
    /// Whether a whole unit in the buffer holds schema messages.
    whole_schema: bool,
    open: Option<Open>,
    intent: Option<Intent>,
    /// Reached without a unit; written at the next sync.
    progress: Lsn,
    watermark: Watermark,
    _lock: Lock,
}

impl Writer {
    /// Opens the tape in `dir`, made if it is not there, and recovers it. Refuses a tape of another server or database,
    /// damage below what is proven durable, and a tape that another process writes.
    pub fn open(dir: &Path, options: Options, origin: Origin, proof: &Proof) -> Result<(Self, Recovered), Error> {
        assert!(options.frame_bytes <= FRAME_BYTES_MAX, "frame_bytes is at most {FRAME_BYTES_MAX}");
        disk::create_dir(dir)?;
        let lock = Lock::take(dir)?;
        reserve::ensure(dir, options.reserve_bytes)?;
        let (segment, recovered) = open_tape(dir, &options, &origin, proof)?;
        let watermark = options.watermark.clone().unwrap_or_else(|| Watermark::new(End::default()));
        let mut writer = Self {
            segment,
            options,
            buffer: Vec::new(),
            whole: 0,
            whole_schema: false,
            open: None,
            intent: None,
            progress: Lsn::ZERO,
            watermark,
            _lock: lock,
        };
        let before = writer.watermark.get().writer;
        writer.publish(before + 1);
        writer.save_durable()?;
        Ok((writer, recovered))
    }

    /// Begins a unit. A `Copy` needs an [`Writer::intent`] before it.
    pub fn begin(&mut self, begin: Begin) -> Result<(), Error> {
        self.segment.check()?;
        assert!(self.open.is_none(), "one unit at a time");
        assert_eq!(begin.kind == Kind::Copy, self.intent.is_some(), "a copy, and nothing else, follows an intent");
        self.append_progress()?;
        let head_at = self.buffer.len();
        self.buffer.resize(head_at + UNIT_HEAD_BYTES - PART_HEAD_BYTES, 0);
        self.buffer.extend_from_slice(&part_head(&begin));
        self.open = Some(Open {
            head_at,
            records_at: self.buffer.len(),
            previous: begin.begin_lsn.0,
            messages: 0,
            bytes: 0,
            schema: false,
            part_schema: false,
            first_part: None,
            begin,
        });
        Ok(())
    }

    /// Adds a message (raw `pgoutput` bytes) to the open unit. `wal_start` as the server sent it, zero when unknown.
    pub fn push(&mut self, wal_start: Lsn, message: &[u8]) -> Result<(), Error> {
        if message.len() > MESSAGE_BYTES_MAX {
            let what = format!("a message of {} bytes is longer than the tape takes", message.len());
            return Err(Refusal::new(refusal::Kind::Server, what, "leave the table with that row out").into());
        }
        let open = self.open.as_mut().expect("a message belongs to a unit");
        put_record(&mut self.buffer, &mut open.previous, wal_start, message);
        open.messages += 1;
        open.part_schema |= is_schema(message);
        if self.buffer.len() - open.records_at >= self.options.frame_bytes { self.spill() } else { Ok(()) }
    }

    /// Ends the open unit. `end_lsn` must be past [`Writer::end`].
    pub fn commit(&mut self, commit_lsn: Lsn, end_lsn: Lsn) -> Result<(), Error> {
        if end_lsn <= self.end() {
            let what = format!("a commit at {end_lsn} cannot follow the tape's end at {}", self.end());
            return Err(Refusal::new(refusal::Kind::Tape, what, "the server's history went backwards").into());
        }
        let large = self.open.as_ref().is_some_and(|open| open.is_large());
        if large {
            self.spill()?;
        }
        let open = self.open.take().expect("a commit ends a unit");
        let head = UnitHead {
            kind: open.begin.kind,
            schema: open.schema | open.part_schema,
            xid: open.begin.xid,
            begin_lsn: open.begin.begin_lsn,
            commit_lsn,
            end_lsn,
            commit_time_us: open.begin.commit_time_us,
            messages: open.messages,
            bytes: open.bytes + to_u64(self.buffer.len() - open.records_at),
        };
        self.segment.state.end = end_lsn;
        self.segment.state.footer.count(&head);
        if large { self.commit_large(open, head) } else { self.commit_small(&open, &head) }
    }

    fn commit_small(&mut self, open: &Open, head: &UnitHead) -> Result<(), Error> {
        self.buffer[open.head_at..open.records_at].copy_from_slice(&head.encode());
        self.whole = self.buffer.len();
        self.whole_schema |= head.schema;
        if self.whole >= self.options.frame_bytes { self.append_batch() } else { Ok(()) }
    }

    fn commit_large(&mut self, open: Open, head: UnitHead) -> Result<(), Error> {
        self.buffer.clear();
        let first_part = open.first_part.unwrap_or(self.segment.state.chain.sequence);
        let commit = Commit { head, first_part, tables: open.begin.tables };
        self.segment.append(FrameKind::Commit, 0, &commit.encode())?;
        if head.kind == Kind::Copy {
            let intent = self.intent.take().expect("checked at its begin");
            self.segment.state.epoch = intent.epoch;
            self.segment.state.copy_point = head.end_lsn;
            self.segment.copying = None;
        }
        Ok(())
    }

    /// Takes the open unit back: the connection ended within it. Nothing happens without one.
    pub fn abandon(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.buffer.truncate(self.whole);
        if open.first_part.is_some() {
            self.segment.append(FrameKind::Abandon, 0, &encode_abandon(&open.begin))?;
        }
        Ok(())
    }

    /// Says that a first copy is about to be made. Sync after it, before the slot is created. May be said again after a
    /// copy was abandoned. Until the copy's commit nothing but the copy can be written.
    pub fn intent(&mut self, intent: Intent) -> Result<(), Error> {
        assert!(self.open.is_none(), "an intent stands between units");
        assert!(intent.epoch > self.segment.state.epoch, "a copy starts a new epoch");
        self.append_batch()?;
        self.append_progress()?;
        self.segment.copying = Some(intent.epoch);
        self.segment.append(FrameKind::Intent, 0, &encode_intent(&intent))?;
        self.intent = Some(intent);
        Ok(())
    }

    /// Nothing is in flight and the server has reached `lsn`. Ignored within a unit, during a copy, and at or below
    /// [`Writer::end`].
    pub fn progress(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.segment.check()?;
        if self.open.is_none() && self.intent.is_none() && lsn > self.end() {
            self.progress = lsn;
        }
        Ok(())
    }

    /// Writes down history that an operator agreed to lose, from the tape's end up to `to`.
    pub fn gap(&mut self, to: Lsn, reason: &str) -> Result<(), Error> {
        assert!(self.open.is_none() && self.intent.is_none(), "a gap stands between units");
        self.append_batch()?;
        self.append_progress()?;
        let from = self.segment.state.end;
        if to <= from {
            return Ok(());
        }
        self.segment.state.end = to;
        self.segment.append(FrameKind::Gap, 0, &encode_gap(&Gap { from, to, reason: reason.to_owned() }))
    }

    /// Whether [`Writer::roll`] is due; false within a unit and during a copy.
    #[must_use]
    pub fn roll_due(&self) -> bool {
        let length = self.segment.state.offset + to_u64(self.whole);
        self.open.is_none() && self.intent.is_none() && length >= self.options.segment_bytes
    }

    /// Seals the segment and starts the next, whose head repeats `preamble` (raw Relation and Type messages).
    pub fn roll(&mut self, preamble: &[Bytes]) -> Result<(), Error> {
        assert!(self.open.is_none() && self.intent.is_none(), "a segment starts at a commit boundary");
        self.append_batch()?;
        self.append_progress()?;
        let origin = self.segment.origin().clone();
        self.segment.roll(&origin, preamble)?;
        self.publish(self.watermark.get().writer);
        self.save_durable()
    }

    /// Makes everything committed so far durable. An error is final: see [`Error`].
    pub fn sync(&mut self) -> Result<Durable, Error> {
        self.segment.check()?;
        self.append_batch()?;
        self.append_progress()?;
        self.segment.sync()?;
        self.publish(self.watermark.get().writer);
        Ok(Durable(self.segment.state.end))
    }

    /// Syncs, and saves how far: an orderly end. An open unit is abandoned.
    pub fn close(mut self) -> Result<Durable, Error> {
        self.abandon()?;
        let durable = self.sync()?;
        self.save_durable()?;
        Ok(durable)
    }

    /// End LSN of the last unit, gap or progress, durable or not.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.segment.state.end.max(self.progress)
    }

    /// The epoch of [`Writer::end`].
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.segment.state.epoch
    }

    /// The tape's name.
    #[must_use]
    pub fn tape_id(&self) -> TapeId {
        self.segment.state.chain.tape
    }

    /// The durable end, to read and to wait for.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark.clone()
    }

    /// Appends the whole small units as one frame.
    fn append_batch(&mut self) -> Result<(), Error> {
        if self.whole == 0 {
            return Ok(());
        }
        let flags = if self.whole_schema { FLAG_SCHEMA } else { 0 };
        self.segment.append(FrameKind::Batch, flags, &self.buffer[..self.whole])?;
        self.buffer.drain(..self.whole);
        if let Some(open) = &mut self.open {
            open.head_at -= self.whole;
            open.records_at -= self.whole;
        }
        (self.whole, self.whole_schema) = (0, false);
        Ok(())
    }

    /// Appends what was reached without a unit. Between the parts of a unit there is nothing to append: `begin` did.
    fn append_progress(&mut self) -> Result<(), Error> {
        if self.progress <= self.segment.state.end {
            return Ok(());
        }
        self.append_batch()?;
        self.segment.state.end = self.progress;
        self.segment.append(FrameKind::Progress, 0, &encode_progress(self.progress))
    }

    /// Appends what the buffer holds of the open unit as a part.
    fn spill(&mut self) -> Result<(), Error> {
        self.append_batch()?;
        let open = self.open.as_mut().expect("only an open unit spills");
        let records = self.buffer.len() - open.records_at;
        if records == 0 {
            return Ok(());
        }
        let first = if open.first_part.is_none() { FLAG_FIRST } else { 0 };
        let schema = if open.part_schema { FLAG_SCHEMA } else { 0 };
        open.first_part.get_or_insert(self.segment.state.chain.sequence);
        let payload = &self.buffer[open.records_at - PART_HEAD_BYTES..];
        self.segment.append(FrameKind::Part, first | schema, payload)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(&part_head(&open.begin));
        open.bytes += to_u64(records);
        (open.head_at, open.records_at, open.previous) = (0, self.buffer.len(), open.begin.begin_lsn.0);
        (open.schema, open.part_schema) = (open.schema | open.part_schema, false);
        Ok(())
    }

    /// Hands everything to the system without a sync, as a full buffer would: a test decides what survives.
    #[cfg(test)]
    pub(crate) fn write_for_test(&mut self) {
        self.append_batch().unwrap();
        self.segment.write().unwrap();
    }

    fn publish(&self, writer: u64) {
        let state = &self.segment.state;
        self.watermark.set(End {
            lsn: state.end,
            epoch: state.epoch,
            segment: self.segment.number(),
            offset: self.segment.synced(),
            writer,
        });
    }

    fn save_durable(&mut self) -> Result<(), Error> {
        let (tape, lsn) = (self.tape_id(), self.segment.state.end);
        let saved = Saved { tape, segment: self.segment.number(), offset: self.segment.synced(), lsn };
        let result = saved.save(self.segment.dir());
        self.segment.final_if_failed(result)
    }
}

impl Open {
    /// Whether the unit is written as parts and counts with a frame of its own.
    fn is_large(&self) -> bool {
        match self.begin.kind {
            Kind::Copy | Kind::Refresh => true,
            Kind::Stream | Kind::Message => self.first_part.is_some(),
        }
    }
}
