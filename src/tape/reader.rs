//! Follows the durable part of the tape from a position on.
//!
//! Invariant: delivers only what lies below the watermark and has ended, each unit once, in order, its frames checked.
//! Memory is one frame, however large a unit is: a large one is first searched for its Commit by headers alone, then
//! streamed part by part. A reader that starts within a segment first delivers the Relation and Type messages of all it
//! skips.

mod large;
mod seek;
mod transaction;

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::bodies::{Commit, decode_gap};
use super::chain::Chain;
use super::format::{FLAG_SCHEMA, Fault, FrameKind, Header};
use super::pack::Unpacker;
use super::records::{RecordCursor, is_schema, put_record, unit_at};
use super::window::{Found, Window};
use super::{End, Error, Gap, Head, Watermark, disk};
use crate::model::{Lsn, Position};

pub(crate) use seek::oldest_base;
use seek::segment_of;
use transaction::PartStream;
pub use transaction::{Messages, Transaction};

/// What a reader delivers.
#[derive(Debug)]
pub enum Entry<'a> {
    /// Relation and Type messages in force from here on: at the start, and at the head of each segment.
    Preamble(Messages<'a>),
    /// A committed unit.
    Transaction(Transaction<'a>),
    /// Nothing happened up to here.
    Progress(Lsn),
    /// History that an operator agreed to lose.
    Gap(Gap),
}

/// A place in a segment, and what the frame there must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) chain: Chain,
}

impl Mark {
    fn pass(&mut self, header: &Header) {
        self.offset += header.frame_bytes();
        self.chain.advance(header.crc);
    }
}

/// A large unit whose Commit has not been found below the watermark yet. The reader stands at its start.
#[derive(Debug)]
struct Pending {
    from: Mark,
    after_intent: bool,
    first: Option<Mark>,
}

/// The units of a Batch, in `raw`.
#[derive(Debug, Clone, Copy)]
struct Batch {
    at: usize,
    epoch: u32,
}

/// An entry, before it borrows.
#[derive(Debug)]
enum Step {
    Preamble,
    Small(Head, Range<usize>),
    Large(Head, Option<Mark>, u64),
    Progress(Lsn),
    Gap(Gap),
}

/// A reader of the tape, at a position of its own.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    number: u64,
    pub(crate) window: Window,
    /// Length of the segment, once it is known to be sealed.
    sealed: Option<u64>,
    mark: Mark,
    /// Everything up to here is behind.
    after: Lsn,
    watermark: Watermark,
    /// The durable end as it was last looked at.
    end: End,
    /// Payload of the frame at hand.
    pub(crate) raw: Vec<u8>,
    unpacker: Unpacker,
    batch: Option<Batch>,
    pending: Option<Pending>,
    /// Schema messages in force, as records, not yet delivered if `schema_due`.
    schema: Vec<u8>,
    schema_due: bool,
    queued: Option<Step>,
}

impl Reader {
    /// Opens the tape in `dir` to deliver everything after the commit of `after` (its `op` is not looked at).
    /// [`Error::Outside`] if the tape does not hold that.
    pub fn open(dir: &Path, after: Position, watermark: Watermark) -> Result<Self, Error> {
        let end = watermark.get();
        let (number, mut window) = segment_of(dir, after.lsn, end)?;
        let length = if number < end.segment { window.length()? } else { end.offset };
        let head = match window.frame(0, length)? {
            Found::Frame(header, _payload) => header,
            Found::End => return Err(Error::damaged(window.path(), 0, Fault::Truncated)),
            Found::Bad(fault) => return Err(Error::damaged(window.path(), 0, fault)),
        };
        Ok(Self {
            dir: dir.to_owned(),
            number,
            window,
            sealed: None,
            mark: Mark { offset: 0, chain: Chain::of(&head) },
            after: after.lsn,
            watermark,
            end,
            raw: Vec::new(),
            unpacker: Unpacker::new(),
            batch: None,
            pending: None,
            schema: Vec::new(),
            schema_due: false,
            queued: None,
        })
    }

    /// Everything up to here has been delivered.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.after
    }

    /// The watermark that this reader follows.
    #[must_use]
    pub fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// The next entry; `None` at the durable end (wait for the watermark to change, then ask again).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let step = match self.queued.take() {
            Some(step) => step,
            None => match self.advance()? {
                Some(step) if self.schema_due => {
                    self.queued = Some(step);
                    self.schema_due = false;
                    Step::Preamble
                }
                Some(step) => step,
                None => return Ok(None),
            },
        };
        self.entry(step).map(Some)
    }

    fn entry(&mut self, step: Step) -> Result<Entry<'_>, Error> {
        Ok(match step {
            Step::Preamble => Entry::Preamble(Messages::new(
                &self.schema,
                RecordCursor::new(0..self.schema.len(), Lsn::ZERO),
                self.window.path(),
                self.mark.offset,
            )),
            Step::Small(head, range) => {
                self.after = head.end_lsn;
                let cursor = RecordCursor::new(range, head.begin_lsn);
                let messages = Messages::new(&self.raw, cursor, self.window.path(), self.mark.offset);
                Entry::Transaction(Transaction::small(head, messages))
            }
            Step::Large(head, first, end) => {
                self.after = head.end_lsn;
                let parts = first.map(|mark| PartStream::new(self, mark, end, head.begin_lsn));
                Entry::Transaction(Transaction::large(head, parts))
            }
            Step::Progress(lsn) => {
                self.after = lsn;
                Entry::Progress(lsn)
            }
            Step::Gap(gap) => {
                self.after = gap.to;
                Entry::Gap(gap)
            }
        })
    }

    /// Goes on to the next thing to deliver.
    fn advance(&mut self) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.next_of_batch()? {
                return Ok(Some(step));
            }
            self.look_at_end();
            let step = if self.pending.is_some() { self.find_commit()? } else { self.next_frame()? };
            match step {
                Advance::Deliver(step) => return Ok(Some(step)),
                Advance::Again => {}
                Advance::AtEnd => return Ok(None),
            }
        }
    }

    /// The next unit of the Batch at hand that is not behind.
    fn next_of_batch(&mut self) -> Result<Option<Step>, Error> {
        while let Some(batch) = &mut self.batch {
            if batch.at >= self.raw.len() {
                self.batch = None;
                break;
            }
            let unit = unit_at(&self.raw, batch.at);
            let (head, range) = unit.map_err(|fault| Error::damaged(self.window.path(), self.mark.offset, fault))?;
            batch.at = range.end;
            if head.end_lsn > self.after {
                return Ok(Some(Step::Small(head.with(batch.epoch, Vec::new()), range)));
            }
            if head.schema {
                self.keep_schema(range, head.begin_lsn)?;
            }
        }
        Ok(None)
    }

    /// Keeps the schema messages among records of `raw` that are skipped.
    fn keep_schema(&mut self, range: Range<usize>, begin_lsn: Lsn) -> Result<(), Error> {
        let mut cursor = RecordCursor::new(range, begin_lsn);
        let fault = |fault| Error::damaged(self.window.path(), self.mark.offset, fault);
        while let Some((_wal_start, message)) = cursor.next(&self.raw).map_err(fault)? {
            if is_schema(message) {
                put_record(&mut self.schema, &mut 0, Lsn::ZERO, message);
                self.schema_due = true;
            }
        }
        Ok(())
    }

    fn look_at_end(&mut self) {
        let end = self.watermark.get();
        if end.writer != self.end.writer {
            // The new writer may have cut off a copy that never counted: what was looked at beyond `mark` may be gone.
            self.window.forget();
            self.pending = None;
        }
        self.end = end;
    }

    /// Where this segment may be read to.
    fn limit(&mut self) -> Result<u64, Error> {
        if self.number == self.end.segment {
            return Ok(self.end.offset);
        }
        if self.number > self.end.segment {
            return Ok(self.mark.offset);
        }
        if self.sealed.is_none() {
            self.sealed = Some(self.window.length()?);
        }
        Ok(self.sealed.expect("just set"))
    }

    /// Loads the frame at `mark` into `raw` and checks its place; the units of a Batch that is behind are not unpacked.
    pub(crate) fn load(&mut self, mark: Mark, limit: u64) -> Result<Option<Header>, Error> {
        let loaded = match self.window.frame(mark.offset, limit)? {
            Found::End => return Ok(None),
            Found::Bad(fault) => Err(fault),
            Found::Frame(header, payload) => mark.chain.check(&header).and_then(|()| {
                let behind = header.end <= self.after && header.flags & FLAG_SCHEMA == 0;
                if header.kind == FrameKind::Batch && behind {
                    self.raw.clear();
                } else {
                    self.unpacker.unpack(&header, payload, &mut self.raw)?;
                }
                Ok(header)
            }),
        };
        loaded.map(Some).map_err(|fault| Error::damaged(self.window.path(), mark.offset, fault))
    }

    fn next_frame(&mut self) -> Result<Advance, Error> {
        let limit = self.limit()?;
        let Some(header) = self.load(self.mark, limit)? else {
            return match self.sealed {
                Some(length) if self.mark.offset >= length => {
                    Err(Error::damaged(self.window.path(), length, "the segment has no footer"))
                }
                Some(_) | None => Ok(Advance::AtEnd),
            };
        };
        let at = self.mark.offset;
        let malformed = |reader: &Self, fault| Error::damaged(reader.window.path(), at, fault);
        let step = match header.kind {
            FrameKind::Part | FrameKind::Intent => {
                self.pending =
                    Some(Pending { from: self.mark, after_intent: header.kind == FrameKind::Intent, first: None });
                return Ok(Advance::Again);
            }
            FrameKind::Footer => return self.next_segment(&header),
            FrameKind::Abandon => return Err(malformed(self, Fault::Payload("nothing to abandon"))),
            FrameKind::SegmentHeader => None,
            FrameKind::Preamble => {
                std::mem::swap(&mut self.schema, &mut self.raw);
                self.schema_due = true;
                None
            }
            FrameKind::Batch => {
                self.batch = Some(Batch { at: 0, epoch: header.epoch });
                None
            }
            FrameKind::Commit => {
                let commit = Commit::decode(&self.raw).map_err(|fault| malformed(self, fault))?;
                Some(Step::Large(commit.into_head(header.epoch), None, at))
            }
            FrameKind::Progress => Some(Step::Progress(header.end)),
            FrameKind::Gap => Some(Step::Gap(decode_gap(&self.raw).map_err(|fault| malformed(self, fault))?)),
        };
        self.mark.pass(&header);
        Ok(match step.filter(|_step| header.end > self.after) {
            Some(step) => Advance::Deliver(step),
            None => Advance::Again,
        })
    }

    /// Goes past the Footer into the next segment.
    fn next_segment(&mut self, footer: &Header) -> Result<Advance, Error> {
        if self.number >= self.end.segment {
            // Sealed, and the next segment is being made.
            return Ok(Advance::AtEnd);
        }
        let path = disk::segment_path(&self.dir, self.number + 1);
        if !path.exists() {
            let (oldest, newest) = (oldest_base(&self.dir)?, self.end.lsn);
            return Err(Error::Outside { after: self.after, oldest, newest });
        }
        self.window = Window::open(&self.dir, self.number + 1)?;
        self.number += 1;
        self.sealed = None;
        self.mark.chain.advance(footer.crc);
        self.mark.offset = 0;
        Ok(Advance::Again)
    }
}

/// What a look at the tape brought.
#[derive(Debug)]
enum Advance {
    Deliver(Step),
    Again,
    AtEnd,
}
