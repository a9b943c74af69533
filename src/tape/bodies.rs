//! Payloads of the frames that hold no messages. Pure; fields in the order of the structs, see `fields`.

use super::fields::{Builder, Fields};
use super::format::{Fault, HEADER_BYTES, VERSION};
use super::records::UnitHead;
use super::{Begin, Gap, Head, Intent, Origin};
use crate::model::Lsn;

/// Payload of a SegmentHeader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// Number of the segment, which its file name repeats.
    pub(crate) number: u64,
    /// The tape's end before this segment.
    pub(crate) base: Lsn,
    /// Position of the epoch's copy; zero before the first.
    pub(crate) copy_point: Lsn,
    /// Where the transactions come from.
    pub(crate) origin: Origin,
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Builder::default()
            .u32(VERSION)
            .u32(self.origin.timeline)
            .u64(self.number)
            .lsn(self.base)
            .lsn(self.copy_point)
            .u64(self.origin.system_id)
            .u64(self.origin.fingerprint)
            .u32(self.origin.database_oid)
            .text(&self.origin.slot)
            .0
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(payload);
        let version = fields.u32()?;
        if version != VERSION {
            return Err(Fault::Newer(format!("format {version}")));
        }
        let timeline = fields.u32()?;
        let (number, base, copy_point) = (fields.u64()?, fields.lsn()?, fields.lsn()?);
        let (system_id, fingerprint) = (fields.u64()?, fields.u64()?);
        let (database_oid, slot) = (fields.u32()?, fields.text()?);
        fields.done()?;
        let origin = Origin { system_id, timeline, database_oid, fingerprint, slot };
        Ok(Self { number, base, copy_point, origin })
    }
}

/// Payload of a Footer: what its segment holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Committed units.
    pub(crate) transactions: u64,
    /// Messages in them.
    pub(crate) messages: u64,
    /// Frames before the footer, the segment header included.
    pub(crate) frames: u64,
    /// Position of the first unit; zero without one.
    pub(crate) first: Lsn,
    /// The tape's end at the segment's end.
    pub(crate) last: Lsn,
    /// Earliest and latest commit time, microseconds since the Unix epoch; zero without a unit.
    pub(crate) times_us: (i64, i64),
}

/// Bytes of a whole Footer frame: it is found by counting back from the end of a sealed file.
pub(crate) const FOOTER_FRAME_BYTES: usize = HEADER_BYTES + 56;

impl Footer {
    /// Counts a committed unit; `last` is set when the segment is sealed.
    pub(crate) fn count(&mut self, head: &UnitHead) {
        let time = head.commit_time_us;
        let (earliest, latest) = self.times_us;
        if self.transactions == 0 {
            self.first = head.end_lsn;
            self.times_us = (time, time);
        } else {
            self.times_us = (earliest.min(time), latest.max(time));
        }
        self.transactions += 1;
        self.messages += head.messages;
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        Builder::default()
            .u64(self.transactions)
            .u64(self.messages)
            .u64(self.frames)
            .lsn(self.first)
            .lsn(self.last)
            .i64(self.times_us.0)
            .i64(self.times_us.1)
            .0
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(payload);
        let footer = Self {
            transactions: fields.u64()?,
            messages: fields.u64()?,
            frames: fields.u64()?,
            first: fields.lsn()?,
            last: fields.lsn()?,
            times_us: (fields.i64()?, fields.i64()?),
        };
        fields.done()?;
        Ok(footer)
    }
}

/// Payload of a Commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) head: UnitHead,
    /// Sequence number of the unit's first part.
    pub(crate) first_part: u64,
    pub(crate) tables: Vec<String>,
}

impl Commit {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Builder::default().raw(&self.head.encode()).u64(self.first_part).texts(&self.tables).0
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(payload);
        let head = UnitHead::decode(&mut fields)?;
        let (first_part, tables) = (fields.u64()?, fields.texts()?);
        fields.done()?;
        Ok(Self { head, first_part, tables })
    }

    /// All facts of the unit.
    pub(crate) fn into_head(self, epoch: u32) -> Head {
        self.head.with(epoch, self.tables)
    }
}

/// Payload of an Abandon: which unit will not end.
pub(crate) fn encode_abandon(begin: &Begin) -> Vec<u8> {
    Builder::default().lsn(begin.begin_lsn).u32(begin.xid).u32(0).0
}

/// Payload of a Progress.
pub(crate) fn encode_progress(lsn: Lsn) -> Vec<u8> {
    Builder::default().lsn(lsn).0
}

pub(crate) fn encode_intent(intent: &Intent) -> Vec<u8> {
    Builder::default().u32(intent.epoch).text(&intent.slot).texts(&intent.tables).0
}

pub(crate) fn decode_intent(payload: &[u8]) -> Result<Intent, Fault> {
    let mut fields = Fields::new(payload);
    let (epoch, slot, tables) = (fields.u32()?, fields.text()?, fields.texts()?);
    fields.done()?;
    Ok(Intent { slot, epoch, tables })
}

pub(crate) fn encode_gap(gap: &Gap) -> Vec<u8> {
    Builder::default().lsn(gap.from).lsn(gap.to).text(&gap.reason).0
}

pub(crate) fn decode_gap(payload: &[u8]) -> Result<Gap, Fault> {
    let mut fields = Fields::new(payload);
    let gap = Gap { from: fields.lsn()?, to: fields.lsn()?, reason: fields.text()? };
    fields.done()?;
    Ok(gap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tape::Kind;

    #[test]
    fn payloads_go_there_and_back() {
        let origin = Origin { system_id: 7, timeline: 2, database_oid: 5, fingerprint: 9, slot: "pgtape".into() };
        let head = SegmentHead { number: 3, base: Lsn(10), copy_point: Lsn(4), origin };
        assert_eq!(SegmentHead::decode(&head.encode()).unwrap(), head);
        let unit = UnitHead {
            kind: Kind::Refresh,
            schema: true,
            xid: 1,
            begin_lsn: Lsn(2),
            commit_lsn: Lsn(3),
            end_lsn: Lsn(4),
            commit_time_us: -5,
            messages: 6,
            bytes: 7,
        };
        let mut footer = Footer::default();
        footer.count(&unit);
        footer.count(&UnitHead { commit_time_us: -9, end_lsn: Lsn(8), ..unit });
        assert_eq!((footer.first, footer.transactions, footer.times_us, footer.messages), (Lsn(4), 2, (-9, -5), 12));
        assert_eq!(Footer::decode(&footer.encode()).unwrap(), footer);
        assert_eq!(footer.encode().len() + HEADER_BYTES, FOOTER_FRAME_BYTES);
        let commit = Commit { head: unit, first_part: 11, tables: vec!["a.b".into(), "c.d e".into()] };
        assert_eq!(Commit::decode(&commit.encode()).unwrap(), commit);
        let intent = Intent { slot: "s".into(), epoch: 2, tables: vec!["a.b".into()] };
        assert_eq!(decode_intent(&encode_intent(&intent)).unwrap(), intent);
        let gap = Gap { from: Lsn(1), to: Lsn(2), reason: "lost".into() };
        assert_eq!(decode_gap(&encode_gap(&gap)).unwrap(), gap);
    }

    proptest! {
        #[test]
        fn random_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _head = SegmentHead::decode(&bytes);
            let _footer = Footer::decode(&bytes);
            let _commit = Commit::decode(&bytes);
            let _intent = decode_intent(&bytes);
            let _gap = decode_gap(&bytes);
        }
    }
}
