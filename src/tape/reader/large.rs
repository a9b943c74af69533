//! Units that span frames: searched for their end by headers alone, then loaded part by part.

use std::ops::Range;

use super::{Advance, Mark, Pending, Reader, Step};
use crate::tape::Error;
use crate::tape::bodies::Commit;
use crate::tape::format::{FLAG_FIRST, FLAG_SCHEMA, Fault, FrameKind};
use crate::tape::records::{PART_HEAD_BYTES, decode_part_head};

impl Reader {
    /// Looks for the Commit of the large unit at hand, by headers alone.
    pub(super) fn find_commit(&mut self) -> Result<Advance, Error> {
        let limit = self.limit()?;
        let mut pending = self.pending.take().expect("checked by the caller");
        loop {
            let at = pending.from.offset;
            let Some(header) = self.window.peek(at, limit)? else {
                self.pending = Some(pending);
                return Ok(Advance::AtEnd);
            };
            let damaged = |fault| Error::damaged(self.window.path(), at, fault);
            let header = header.and_then(|h| pending.from.chain.check(&h).map(|()| h)).map_err(damaged)?;
            match header.kind {
                FrameKind::Part if header.flags & FLAG_FIRST != 0 => pending.first = Some(pending.from),
                FrameKind::Part => {}
                FrameKind::Intent => pending.first = None,
                FrameKind::Abandon if pending.after_intent => pending.first = None,
                FrameKind::Abandon => {
                    pending.from.pass(&header);
                    self.mark = pending.from;
                    return Ok(Advance::Again);
                }
                FrameKind::Commit => return self.found_commit(&pending, limit),
                FrameKind::SegmentHeader
                | FrameKind::Preamble
                | FrameKind::Batch
                | FrameKind::Progress
                | FrameKind::Gap
                | FrameKind::Footer => return Err(damaged(Fault::Payload("within a unit"))),
            }
            pending.from.pass(&header);
        }
    }

    /// The Commit stands at `pending.from`: deliver the unit, or skip it if it is behind.
    fn found_commit(&mut self, pending: &Pending, limit: u64) -> Result<Advance, Error> {
        let mark = pending.from;
        let header = self.load(mark, limit)?.expect("below the limit, as it was a moment ago");
        let commit = Commit::decode(&self.raw).map_err(|f| Error::damaged(self.window.path(), mark.offset, f))?;
        let schema = commit.head.schema;
        let head = commit.into_head(header.epoch);
        self.mark = mark;
        self.mark.pass(&header);
        if head.end_lsn > self.after {
            return Ok(Advance::Deliver(Step::Large(head, pending.first, mark.offset)));
        }
        let mut part = pending.first.filter(|_first| schema);
        while let Some(mark) = &mut part {
            let at = *mark;
            let Some(header) = self.load(at, pending.from.offset)? else { break };
            if header.flags & FLAG_SCHEMA != 0 {
                self.keep_schema(PART_HEAD_BYTES..self.raw.len(), head.begin_lsn)?;
            }
            mark.pass(&header);
        }
        Ok(Advance::Again)
    }

    /// Loads the part at `mark` for a stream; returns where its records lie and the mark after it.
    pub(crate) fn load_part(&mut self, mark: Mark, end: u64) -> Result<Option<(Range<usize>, Mark)>, Error> {
        let Some(header) = self.load(mark, end)? else { return Ok(None) };
        let part =
            if header.kind == FrameKind::Part { decode_part_head(&self.raw) } else { Err(Fault::Payload("part")) };
        part.map_err(|fault| Error::damaged(self.window.path(), mark.offset, fault))?;
        let mut next = mark;
        next.pass(&header);
        Ok(Some((PART_HEAD_BYTES..self.raw.len(), next)))
    }
}
