//! The bytes of a frame. Pure; all integers little-endian; every frame begins at a multiple of 8 in its file.
//!
//! ```text
//!  0        4       5        6        8             12            16           20            24
//!  | "PGTF" | kind  | codec  | flags  | stored len  | raw len     | CRC32C     | previous CRC |
//!  | u8 x 4 | u8    | u8     | u16    | u32         | u32         | u32        | u32          |
//!
//!  24            40          48        52         56          64          72          72 + stored, to 8
//!  | tape id     | sequence  | epoch   | zero     | end LSN   | synced    | payload   | zeros |
//!  | u8 x 16     | u64       | u32     | u32      | u64       | u64       |           |       |
//! ```
//!
//! - `stored len`: payload bytes in the file, never zero; `raw len`: after decompression (equal without a codec).
//! - `CRC32C`: over header bytes 0..16 and 20..72, payload and padding. A CRC over the payload alone would take eight
//!   zero bytes for an empty frame, because `crc32c("") == 0`, and power cuts leave zero-filled tails.
//! - `previous CRC`: the CRC field of the frame before, also across segments: a chain. The first frame has 0.
//! - `sequence`: counts the frames of the tape from 0.
//! - `end LSN`: where the tape ends once this frame counts.
//! - `synced`: bytes of this segment known durable when the frame was written. A good frame past damage below its
//!   `synced` proves that synced bytes were lost, so that the damage is no torn tail.
//!
//! Invariant: a header is believed only after magic, bounds and CRC; lengths are bounded before anything is allocated.

use super::TapeId;
use crate::model::Lsn;

/// The version in segment headers.
pub(crate) const VERSION: u32 = 1;
/// The first bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = *b"PGTF";
/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 72;
/// Frames begin at multiples of this, bytes.
pub(crate) const ALIGN_BYTES: u64 = 8;
/// Longest payload, bytes: one message of Postgres is shorter than 1 GiB.
pub(crate) const PAYLOAD_BYTES_MAX: u32 = (1 << 30) + (1 << 20);
/// Longest payload that is compressed, bytes: what a reader allocates on the word of a compressed frame.
pub(crate) const COMPRESSED_RAW_BYTES_MAX: u32 = 16 << 20;

/// Flag: the payload holds Relation or Type messages.
pub(crate) const FLAG_SCHEMA: u16 = 1;
/// Flag: the first part of its unit.
pub(crate) const FLAG_FIRST: u16 = 2;
/// All flags of this version.
const FLAGS_KNOWN: u16 = FLAG_SCHEMA | FLAG_FIRST;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// Head of a segment: version, identity, where the tape stood.
    SegmentHeader = 1,
    /// Relation and Type messages in force.
    Preamble = 2,
    /// Whole small units.
    Batch = 3,
    /// Part of a large unit.
    Part = 4,
    /// End of a large unit: only now it counts.
    Commit = 5,
    /// A large unit that will not end.
    Abandon = 6,
    /// The server has reached an LSN and nothing is in flight.
    Progress = 7,
    /// A first copy is about to be made.
    Intent = 8,
    /// Lost history, by an operator's decision.
    Gap = 9,
    /// End of a sealed segment.
    Footer = 10,
}

impl FrameKind {
    /// Kind 11 is reserved for old rows (`Completion`); like any unknown kind it is refused as a newer format.
    fn decode(byte: u8) -> Result<Self, Fault> {
        Ok(match byte {
            1 => Self::SegmentHeader,
            2 => Self::Preamble,
            3 => Self::Batch,
            4 => Self::Part,
            5 => Self::Commit,
            6 => Self::Abandon,
            7 => Self::Progress,
            8 => Self::Intent,
            9 => Self::Gap,
            10 => Self::Footer,
            unknown => return Err(Fault::Newer(format!("frame kind {unknown}"))),
        })
    }

    /// Its name in listings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SegmentHeader => "segment",
            Self::Preamble => "preamble",
            Self::Batch => "batch",
            Self::Part => "part",
            Self::Commit => "commit",
            Self::Abandon => "abandon",
            Self::Progress => "progress",
            Self::Intent => "intent",
            Self::Gap => "gap",
            Self::Footer => "footer",
        }
    }
}

/// How a payload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// As it is.
    Plain = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// Why bytes are no good frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the file ends within a frame")]
    Truncated,
    #[error("zeros where a frame should begin")]
    Zeros,
    #[error("no frame begins here")]
    Magic,
    #[error("a frame of {0} bytes is out of bounds")]
    Length(u32),
    #[error("the checksum does not match")]
    Checksum,
    #[error("the frame belongs to another tape")]
    Tape,
    #[error("frame {found} stands where frame {expected} should")]
    Sequence { expected: u64, found: u64 },
    #[error("the frame does not continue the one before it")]
    Chain,
    #[error("the payload is malformed ({0})")]
    Payload(&'static str),
    #[error("{0} is unknown to this version: it was written by a newer pgtape")]
    Newer(String),
}

/// The header of a frame, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    pub(crate) codec: Codec,
    pub(crate) flags: u16,
    pub(crate) stored: u32,
    pub(crate) raw: u32,
    pub(crate) crc: u32,
    pub(crate) previous: u32,
    pub(crate) tape: TapeId,
    pub(crate) sequence: u64,
    pub(crate) epoch: u32,
    pub(crate) end: Lsn,
    pub(crate) synced: u64,
}

/// Widens a length.
pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).expect("usize has at most 64 bits")
}

/// Narrows a length that was checked against the size of something in memory.
pub(crate) fn to_usize(length: u64) -> usize {
    usize::try_from(length).expect("pgtape runs on 64-bit machines")
}

/// Bytes in the file of a frame whose payload has `stored` bytes.
pub(crate) fn frame_bytes(stored: u32) -> u64 {
    (to_u64(HEADER_BYTES) + u64::from(stored)).next_multiple_of(ALIGN_BYTES)
}

impl Header {
    /// Bytes of the whole frame in the file.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.stored)
    }

    /// Appends the frame to `out`; returns its CRC. `stored` and `crc` of `self` are not looked at.
    pub(crate) fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> u32 {
        let stored = u32::try_from(payload.len()).expect("payloads are bounded by PAYLOAD_BYTES_MAX");
        assert!(0 < stored && stored <= PAYLOAD_BYTES_MAX, "a payload has 1 to {PAYLOAD_BYTES_MAX} bytes");
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.kind as u8, self.codec as u8]);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&stored.to_le_bytes());
        out.extend_from_slice(&self.raw.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.tape.0);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.end.0.to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        out.extend_from_slice(payload);
        out.resize(start + to_usize(frame_bytes(stored)), 0);
        let crc = checksum(&out[start..]);
        out[start + 16..start + 20].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Decodes magic and lengths: enough to know how much to read, nothing to be believed.
    pub(crate) fn bounds(bytes: &[u8; HEADER_BYTES]) -> Result<u64, Fault> {
        if bytes.iter().all(|&b| b == 0) {
            return Err(Fault::Zeros);
        }
        if bytes[..4] != MAGIC {
            return Err(Fault::Magic);
        }
        let stored = u32_at(bytes, 8);
        if stored == 0 || stored > PAYLOAD_BYTES_MAX { Err(Fault::Length(stored)) } else { Ok(frame_bytes(stored)) }
    }

    /// Decodes a header whose frame's CRC has been checked.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Fault> {
        Self::bounds(bytes)?;
        let kind = FrameKind::decode(bytes[4])?;
        let codec = match bytes[5] {
            0 => Codec::Plain,
            1 => Codec::Zstd,
            unknown => return Err(Fault::Newer(format!("codec {unknown}"))),
        };
        let flags = u16::from_le_bytes([bytes[6], bytes[7]]);
        if flags & !FLAGS_KNOWN != 0 || u32_at(bytes, 52) != 0 {
            return Err(Fault::Newer(format!("flags {flags:#x}")));
        }
        let (stored, raw) = (u32_at(bytes, 8), u32_at(bytes, 12));
        let raw_fits = match codec {
            Codec::Plain => raw == stored,
            Codec::Zstd => 0 < raw && raw <= COMPRESSED_RAW_BYTES_MAX,
        };
        if !raw_fits {
            return Err(Fault::Length(raw));
        }
        Ok(Self {
            kind,
            codec,
            flags,
            stored,
            raw,
            crc: u32_at(bytes, 16),
            previous: u32_at(bytes, 20),
            tape: TapeId(bytes[24..40].try_into().expect("16 bytes")),
            sequence: u64_at(bytes, 40),
            epoch: u32_at(bytes, 48),
            end: Lsn(u64_at(bytes, 56)),
            synced: u64_at(bytes, 64),
        })
    }
}

/// Decodes a whole frame (header, payload, padding), its CRC included.
pub(crate) fn decode_frame(frame: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let bytes: &[u8; HEADER_BYTES] = frame.first_chunk().ok_or(Fault::Truncated)?;
    let length = Header::bounds(bytes)?;
    let frame = frame.get(..to_usize(length)).ok_or(Fault::Truncated)?;
    if checksum(frame) != u32_at(bytes, 16) {
        return Err(Fault::Checksum);
    }
    let header = Header::decode(bytes)?;
    let payload_end = HEADER_BYTES + usize::try_from(header.stored).expect("bounded");
    Ok((header, &frame[HEADER_BYTES..payload_end]))
}

/// The CRC of a whole frame, without the CRC field itself.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..16]), &frame[20..])
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload: &[u8]) -> Header {
        let length = u32::try_from(payload.len()).unwrap();
        Header {
            kind: FrameKind::Batch,
            codec: Codec::Plain,
            flags: FLAG_SCHEMA,
            stored: length,
            raw: length,
            crc: 0,
            previous: 7,
            tape: TapeId([9; 16]),
            sequence: 3,
            epoch: 2,
            end: Lsn(0x16_B374_D848),
            synced: 4096,
        }
    }

    #[test]
    fn a_frame_goes_there_and_back() {
        for payload in [&b"x"[..], b"12345678", b"123456789"] {
            let mut bytes = Vec::new();
            let crc = header(payload).encode(payload, &mut bytes);
            assert_eq!(to_u64(bytes.len()) % ALIGN_BYTES, 0);
            let (decoded, found) = decode_frame(&bytes).unwrap();
            assert_eq!((decoded, found), (Header { crc, ..header(payload) }, payload));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        header(b"payload").encode(b"payload", &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_frame(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_header_is_laid_out_as_documented() {
        let mut bytes = Vec::new();
        let crc = header(b"pay").encode(b"pay", &mut bytes);
        let mut want = b"PGTF\x03\x00\x01\x00\x03\0\0\0\x03\0\0\0".to_vec();
        want.extend_from_slice(&crc.to_le_bytes());
        want.extend_from_slice(b"\x07\0\0\0");
        want.extend_from_slice(&[9; 16]);
        want.extend_from_slice(b"\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x48\xd8\x74\xb3\x16\0\0\0\0\x10\0\0\0\0\0\0");
        want.extend_from_slice(b"pay\0\0\0\0\0");
        assert_eq!(bytes, want);
        assert_eq!(crc, crc32c::crc32c_append(crc32c::crc32c(&want[..16]), &want[20..]));
    }

    #[test]
    fn zeros_nonsense_and_newer_formats_are_told_apart() {
        let check = |bytes: &[u8], want: Fault| assert_eq!(decode_frame(bytes).unwrap_err(), want);
        check(&[0; 80], Fault::Zeros);
        check(&[1; 80], Fault::Magic);
        check(b"PGTF", Fault::Truncated);
        let mut bytes = Vec::new();
        header(b"payload").encode(b"payload", &mut bytes);
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        check(&bytes, Fault::Length(u32::MAX));
        bytes[8..12].copy_from_slice(&0u32.to_le_bytes());
        check(&bytes, Fault::Length(0));
        let mut completion = Vec::new();
        header(b"payload").encode(b"payload", &mut completion);
        completion[4] = 11;
        let crc = checksum(&completion);
        completion[16..20].copy_from_slice(&crc.to_le_bytes());
        check(&completion, Fault::Newer("frame kind 11".into()));
    }
}
