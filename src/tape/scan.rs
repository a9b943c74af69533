//! The grammar of a segment, frame by frame: recovery, `verify` and `info` walk with it. Pure.
//!
//! ```text
//! segment = SegmentHeader Preamble? { Batch | Progress | Gap | large | copy }* Footer?
//! large   = Part(first) Part* ( Commit | Abandon )        | Commit without messages
//! copy    = Intent { Intent | Part(first) Part* Abandon }* large ending in the Commit of a Copy
//! ```
//!
//! Invariant: `State` is what a writer would have after writing the same frames; positions only grow.

use bytes::Bytes;

use super::bodies::{Commit, Footer, SegmentHead, decode_gap, decode_intent};
use super::chain::Chain;
use super::fields::Fields;
use super::format::{FLAG_FIRST, FLAG_SCHEMA, Fault, FrameKind, Header, to_u64};
use super::pack::Unpacker;
use super::records::{PART_HEAD_BYTES, RecordCursor, UnitHead, decode_part_head, unit_at};
use super::schema::Schema;
use super::{Begin, Intent, Kind};
use crate::model::Lsn;

/// Where a tape stands after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// What the next frame must be.
    pub(crate) chain: Chain,
    /// Bytes of the segment.
    pub(crate) offset: u64,
    /// The tape's end.
    pub(crate) end: Lsn,
    /// The epoch that counts.
    pub(crate) epoch: u32,
    /// Position of its copy.
    pub(crate) copy_point: Lsn,
    /// The footer as far as it is known.
    pub(crate) footer: Footer,
    /// Whether the footer has been written.
    pub(crate) sealed: bool,
}

/// A large unit whose end has not been seen.
#[derive(Debug, Clone)]
struct Open {
    begin: Begin,
    first_part: u64,
    messages: u64,
    bytes: u64,
    schema: Schema,
}

/// Walks a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) state: State,
    pub(crate) head: SegmentHead,
    open: Option<Open>,
    /// A copy that has not ended, and the state before its first Intent.
    intent: Option<(Intent, State)>,
    /// What units that count have said of tables.
    schema: Schema,
    raw: Vec<u8>,
    unpacker: Unpacker,
}

impl Scan {
    /// Begins with the header frame of segment `number`, which must go on where `before` ended.
    pub(crate) fn start(number: u64, before: Option<&State>, header: &Header, payload: &[u8]) -> Result<Self, Fault> {
        if header.kind != FrameKind::SegmentHeader {
            return Err(Fault::Payload("not the head of a segment"));
        }
        let head = SegmentHead::decode(payload)?;
        let mut chain = before.map_or(Chain::of(header), |state| state.chain);
        chain.check(header)?;
        if head.number != number {
            return Err(Fault::Payload("another segment's number"));
        }
        if head.base != header.end || before.is_some_and(|state| state.end != head.base || state.epoch != header.epoch)
        {
            return Err(Fault::Payload("does not begin where the segment before it ended"));
        }
        chain.advance(header.crc);
        let state = State {
            chain,
            offset: header.frame_bytes(),
            end: head.base,
            epoch: header.epoch,
            copy_point: head.copy_point,
            footer: Footer { frames: 1, ..Footer::default() },
            sealed: false,
        };
        Ok(Self {
            state,
            head,
            open: None,
            intent: None,
            schema: Schema::default(),
            raw: Vec::new(),
            unpacker: Unpacker::new(),
        })
    }

    /// The schema messages in force at the end.
    pub(crate) fn take_schema(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.schema).into_messages()
    }

    /// A large unit that did not end.
    pub(crate) fn unfinished(&self) -> Option<&Begin> {
        self.open.as_ref().map(|open| &open.begin)
    }

    /// A copy that did not end, and the state before it.
    pub(crate) fn pending_copy(&self) -> Option<&(Intent, State)> {
        self.intent.as_ref()
    }

    /// Takes the next frame. After a fault `state` is that of the last good frame.
    pub(crate) fn apply(&mut self, header: &Header, payload: &[u8]) -> Result<(), Fault> {
        self.state.chain.check(header)?;
        if self.state.sealed {
            return Err(Fault::Payload("a frame after the footer"));
        }
        self.unpacker.unpack(header, payload, &mut self.raw)?;
        let raw = std::mem::take(&mut self.raw);
        let mut next = self.state;
        let result = self.dispatch(header, &raw, &mut next);
        self.raw = raw;
        result?;
        if header.end != next.end {
            return Err(Fault::Payload("end LSN"));
        }
        next.chain.advance(header.crc);
        next.offset += header.frame_bytes();
        next.footer.frames += u64::from(!next.sealed);
        self.state = next;
        Ok(())
    }

    fn dispatch(&mut self, header: &Header, raw: &[u8], next: &mut State) -> Result<(), Fault> {
        let epoch = self.intent.as_ref().map_or(next.epoch, |(intent, _before)| intent.epoch);
        if header.epoch != epoch && header.kind != FrameKind::Intent {
            return Err(Fault::Payload("epoch"));
        }
        match header.kind {
            FrameKind::SegmentHeader => Err(Fault::Payload("a segment's head within a segment")),
            FrameKind::Preamble => {
                self.between_units()?;
                self.schema.note(raw, RecordCursor::new(0..raw.len(), Lsn::ZERO))
            }
            FrameKind::Batch => self.between_units().and_then(|()| self.batch(raw, next)),
            FrameKind::Part => self.part(header, raw),
            FrameKind::Commit => self.commit(header, &Commit::decode(raw)?, next),
            FrameKind::Abandon => self.open.take().map(drop).ok_or(Fault::Payload("nothing to abandon")),
            FrameKind::Progress => {
                self.between_units()?;
                advance(next, Fields::new(raw).lsn()?)
            }
            FrameKind::Gap => {
                self.between_units()?;
                let gap = decode_gap(raw)?;
                if gap.from == next.end { advance(next, gap.to) } else { Err(Fault::Payload("gap")) }
            }
            FrameKind::Intent => self.intend(header, decode_intent(raw)?, next),
            FrameKind::Footer => {
                self.between_units()?;
                next.footer.last = next.end;
                next.sealed = true;
                if Footer::decode(raw)? == next.footer { Ok(()) } else { Err(Fault::Payload("footer")) }
            }
        }
    }

    fn between_units(&self) -> Result<(), Fault> {
        if self.open.is_none() && self.intent.is_none() { Ok(()) } else { Err(Fault::Payload("within a unit")) }
    }

    fn batch(&mut self, raw: &[u8], next: &mut State) -> Result<(), Fault> {
        let mut at = 0;
        while at < raw.len() {
            let (head, range) = unit_at(raw, at)?;
            at = range.end;
            let cursor = RecordCursor::new(range, head.begin_lsn);
            if count_records(raw, cursor)? != head.messages {
                return Err(Fault::Payload("messages of a unit"));
            }
            if head.schema {
                self.schema.note(raw, cursor)?;
            }
            count(&head, next)?;
        }
        Ok(())
    }

    fn part(&mut self, header: &Header, raw: &[u8]) -> Result<(), Fault> {
        let begin = decode_part_head(raw)?;
        let cursor = RecordCursor::new(PART_HEAD_BYTES..raw.len(), begin.begin_lsn);
        let messages = count_records(raw, cursor)?;
        let mut schema = Schema::default();
        if header.flags & FLAG_SCHEMA != 0 {
            schema.note(raw, cursor)?;
        }
        let bytes = to_u64(raw.len() - PART_HEAD_BYTES);
        let first = header.flags & FLAG_FIRST != 0;
        match &mut self.open {
            None if first => {
                let first_part = header.sequence;
                self.open = Some(Open { begin, first_part, messages, bytes, schema });
            }
            Some(open) if !first && open.begin == begin => {
                open.messages += messages;
                open.bytes += bytes;
                open.schema.append(schema);
            }
            None | Some(_) => return Err(Fault::Payload("a part of another unit")),
        }
        Ok(())
    }

    fn commit(&mut self, header: &Header, commit: &Commit, next: &mut State) -> Result<(), Fault> {
        let found = self.open.as_ref().map_or((header.sequence, 0, 0), |o| (o.first_part, o.messages, o.bytes));
        if found != (commit.first_part, commit.head.messages, commit.head.bytes) {
            return Err(Fault::Payload("parts of a unit"));
        }
        if (commit.head.kind == Kind::Copy) != self.intent.is_some() {
            return Err(Fault::Payload("copy without its intent"));
        }
        advance(next, commit.head.end_lsn)?;
        next.footer.count(&commit.head);
        if commit.head.kind == Kind::Copy {
            (next.epoch, next.copy_point) = (header.epoch, commit.head.end_lsn);
        }
        if let Some(open) = self.open.take() {
            self.schema.append(open.schema);
        }
        self.intent = None;
        Ok(())
    }

    fn intend(&mut self, header: &Header, intent: Intent, next: &State) -> Result<(), Fault> {
        if self.open.is_some() || intent.epoch <= next.epoch || header.epoch != intent.epoch {
            return Err(Fault::Payload("intent"));
        }
        let before = self.intent.take().map_or(*next, |(_earlier, before)| before);
        self.intent = Some((intent, before));
        Ok(())
    }
}

/// Moves the end forward.
fn advance(next: &mut State, to: Lsn) -> Result<(), Fault> {
    if to <= next.end {
        return Err(Fault::Payload("position goes backwards"));
    }
    next.end = to;
    Ok(())
}

fn count(head: &UnitHead, next: &mut State) -> Result<(), Fault> {
    advance(next, head.end_lsn)?;
    next.footer.count(head);
    Ok(())
}

/// Number of records.
fn count_records(raw: &[u8], mut cursor: RecordCursor) -> Result<u64, Fault> {
    let mut count = 0;
    while cursor.next(raw)?.is_some() {
        count += 1;
    }
    Ok(count)
}
