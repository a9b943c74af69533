//! What stands within payloads that hold units: their heads and their messages. Pure.
//!
//! ```text
//! Batch payload:   { unit head, 56 bytes | message records }*
//! Part payload:    part head, 24 bytes | message records
//! Commit payload:  unit head, 56 bytes | first part's sequence u64 | tables
//!
//! unit head:       kind u8 | flags u8 | 0 u16 | xid u32 | begin u64 | commit u64 | end u64 | time i64 | messages u64 | bytes u64
//! part head:       kind u8 | 0 u8 x 3 | xid u32 | begin u64 | time i64
//! message record:  varint(length << 1 | w) | if w: varint(zigzag(wal_start - previous wal_start)) | the message
//! ```
//!
//! `previous` is the unit's begin LSN before the first record of a unit or part. A message without `wal_start`
//! (Postgres sends 0 for some) has `w = 0` and leaves `previous` alone. Varints are LEB128.

use super::fields::Fields;
use super::format::{Fault, to_u64, to_usize};
use super::{Begin, Head, Kind};
use crate::model::Lsn;

/// Bytes of a unit's head.
pub(crate) const UNIT_HEAD_BYTES: usize = 56;
/// Bytes of a part's head.
pub(crate) const PART_HEAD_BYTES: usize = 24;
/// Unit flag: it holds Relation or Type messages.
const UNIT_FLAG_SCHEMA: u8 = 1;

const fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Stream => 1,
        Kind::Message => 2,
        Kind::Copy => 3,
        Kind::Refresh => 4,
    }
}

fn kind_of(byte: u8) -> Result<Kind, Fault> {
    match byte {
        1 => Ok(Kind::Stream),
        2 => Ok(Kind::Message),
        3 => Ok(Kind::Copy),
        4 => Ok(Kind::Refresh),
        unknown => Err(Fault::Newer(format!("unit kind {unknown}"))),
    }
}

/// Whether a message describes a table or a type: Relation, Type, and the facts of a table that pgtape itself adds to a
/// copy. The one thing the tape looks at in a message is its tag.
pub(crate) fn is_schema(message: &[u8]) -> bool {
    matches!(message.first(), Some(b'R' | b'Y' | b'@'))
}

/// The fixed part of a unit's head, as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitHead {
    pub(crate) kind: Kind,
    pub(crate) schema: bool,
    pub(crate) xid: u32,
    pub(crate) begin_lsn: Lsn,
    pub(crate) commit_lsn: Lsn,
    pub(crate) end_lsn: Lsn,
    pub(crate) commit_time_us: i64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl UnitHead {
    pub(crate) fn encode(&self) -> [u8; UNIT_HEAD_BYTES] {
        let mut out = [0; UNIT_HEAD_BYTES];
        out[0] = kind_byte(self.kind);
        out[1] = if self.schema { UNIT_FLAG_SCHEMA } else { 0 };
        out[4..8].copy_from_slice(&self.xid.to_le_bytes());
        out[8..16].copy_from_slice(&self.begin_lsn.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.commit_lsn.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.end_lsn.0.to_le_bytes());
        out[32..40].copy_from_slice(&self.commit_time_us.to_le_bytes());
        out[40..48].copy_from_slice(&self.messages.to_le_bytes());
        out[48..56].copy_from_slice(&self.bytes.to_le_bytes());
        out
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Self, Fault> {
        let (kind, flags, zero) = (fields.u8()?, fields.u8()?, fields.u16()?);
        if flags & !UNIT_FLAG_SCHEMA != 0 || zero != 0 {
            return Err(Fault::Newer(format!("unit flags {flags:#x}")));
        }
        Ok(Self {
            kind: kind_of(kind)?,
            schema: flags & UNIT_FLAG_SCHEMA != 0,
            xid: fields.u32()?,
            begin_lsn: fields.lsn()?,
            commit_lsn: fields.lsn()?,
            end_lsn: fields.lsn()?,
            commit_time_us: fields.i64()?,
            messages: fields.u64()?,
            bytes: fields.u64()?,
        })
    }

    /// With what stands beside it.
    pub(crate) fn with(&self, epoch: u32, tables: Vec<String>) -> Head {
        Head {
            kind: self.kind,
            xid: self.xid,
            begin_lsn: self.begin_lsn,
            commit_lsn: self.commit_lsn,
            end_lsn: self.end_lsn,
            commit_time_us: self.commit_time_us,
            epoch,
            messages: self.messages,
            bytes: self.bytes,
            tables,
        }
    }
}

/// Decodes the unit at `at` of a Batch payload: its head and where its records lie.
pub(crate) fn unit_at(payload: &[u8], at: usize) -> Result<(UnitHead, std::ops::Range<usize>), Fault> {
    let mut fields = Fields::new(payload.get(at..).ok_or(Fault::Payload("unit"))?);
    let head = UnitHead::decode(&mut fields)?;
    let start = at + UNIT_HEAD_BYTES;
    if head.bytes > to_u64(payload.len() - start) {
        return Err(Fault::Payload("unit length"));
    }
    Ok((head, start..start + to_usize(head.bytes)))
}

/// The head of a Part payload for a unit that began with `begin`.
pub(crate) fn part_head(begin: &Begin) -> [u8; PART_HEAD_BYTES] {
    let mut out = [0; PART_HEAD_BYTES];
    out[0] = kind_byte(begin.kind);
    out[4..8].copy_from_slice(&begin.xid.to_le_bytes());
    out[8..16].copy_from_slice(&begin.begin_lsn.0.to_le_bytes());
    out[16..24].copy_from_slice(&begin.commit_time_us.to_le_bytes());
    out
}

/// Decodes the head of a Part payload; the tables are known only at the commit.
pub(crate) fn decode_part_head(payload: &[u8]) -> Result<Begin, Fault> {
    let mut fields = Fields::new(payload);
    let (kind, _zero, _zeros) = (fields.u8()?, fields.u8()?, fields.u16()?);
    Ok(Begin {
        kind: kind_of(kind)?,
        xid: fields.u32()?,
        begin_lsn: fields.lsn()?,
        commit_time_us: fields.i64()?,
        tables: Vec::new(),
    })
}

/// Appends a message record.
pub(crate) fn put_record(out: &mut Vec<u8>, previous: &mut u64, wal_start: Lsn, message: &[u8]) {
    let length = to_u64(message.len()) << 1;
    if wal_start == Lsn::ZERO {
        put_varint(out, length);
    } else {
        put_varint(out, length | 1);
        put_varint(out, zigzag(wal_start.0.wrapping_sub(*previous)));
        *previous = wal_start.0;
    }
    out.extend_from_slice(message);
}

/// A place among message records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordCursor {
    at: usize,
    end: usize,
    previous: u64,
}

impl RecordCursor {
    /// Before the first of the records at `range`, of a unit that begins at `begin_lsn`.
    pub(crate) fn new(range: std::ops::Range<usize>, begin_lsn: Lsn) -> Self {
        Self { at: range.start, end: range.end, previous: begin_lsn.0 }
    }

    /// Whether there is no record left.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The next record of `payload`.
    pub(crate) fn next<'a>(&mut self, payload: &'a [u8]) -> Result<Option<(Lsn, &'a [u8])>, Fault> {
        if self.at >= self.end {
            return Ok(None);
        }
        let records = payload.get(..self.end).ok_or(Fault::Payload("records"))?;
        let tag = take_varint(records, &mut self.at)?;
        let mut wal_start = Lsn::ZERO;
        if tag & 1 == 1 {
            self.previous = self.previous.wrapping_add(unzigzag(take_varint(records, &mut self.at)?));
            wal_start = Lsn(self.previous);
        }
        let length = tag >> 1;
        if length > to_u64(records.len() - self.at) {
            return Err(Fault::Payload("message length"));
        }
        let message = &records[self.at..self.at + to_usize(length)];
        self.at += message.len();
        Ok(Some((wal_start, message)))
    }
}

/// Small differences of either sign become small numbers; two's complement, so every difference has one.
const fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (0u64.wrapping_sub(difference >> 63))
}

const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (0u64.wrapping_sub(value & 1))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn take_varint(bytes: &[u8], at: &mut usize) -> Result<u64, Fault> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(Fault::Payload("varint"))?;
        *at += 1;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::Payload("varint"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_go_there_and_back(
            begin in any::<u64>(),
            messages in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
        ) {
            let (mut bytes, mut previous) = (Vec::new(), begin);
            for (wal_start, message) in &messages {
                put_record(&mut bytes, &mut previous, Lsn(*wal_start), message);
            }
            let mut cursor = RecordCursor::new(0..bytes.len(), Lsn(begin));
            for (wal_start, message) in &messages {
                prop_assert_eq!(cursor.next(&bytes).unwrap(), Some((Lsn(*wal_start), &message[..])));
            }
            prop_assert_eq!(cursor.next(&bytes).unwrap(), None);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
            let mut cursor = RecordCursor::new(0..bytes.len(), Lsn(1));
            while let Ok(Some(_)) = cursor.next(&bytes) {}
            let _unit = unit_at(&bytes, at);
            let _part = decode_part_head(&bytes);
        }
    }

    #[test]
    fn a_record_of_a_nearby_wal_start_costs_three_bytes() {
        let (mut bytes, mut previous) = (Vec::new(), 0x16_B374_D848);
        put_record(&mut bytes, &mut previous, Lsn(0x16_B374_D848 - 100), b"I");
        assert_eq!(bytes, [3, 0xC7, 0x01, b'I']);
    }
}
