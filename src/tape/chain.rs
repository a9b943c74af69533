//! The order of frames: each carries the sequence number and the CRC that its predecessor gives it. Pure.

use super::TapeId;
use super::format::{Fault, Header};

/// What the next frame of a tape must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The tape it belongs to.
    pub(crate) tape: TapeId,
    /// Its sequence number.
    pub(crate) sequence: u64,
    /// The CRC of the frame before it.
    pub(crate) previous: u32,
}

impl Chain {
    /// The chain of a tape without frames.
    pub(crate) fn start(tape: TapeId) -> Self {
        Self { tape, sequence: 0, previous: 0 }
    }

    /// The chain of which `header` is the next frame.
    pub(crate) fn of(header: &Header) -> Self {
        Self { tape: header.tape, sequence: header.sequence, previous: header.previous }
    }

    /// Whether `header` is the next frame.
    pub(crate) fn check(&self, header: &Header) -> Result<(), Fault> {
        if header.tape != self.tape {
            return Err(Fault::Tape);
        }
        if header.sequence != self.sequence {
            return Err(Fault::Sequence { expected: self.sequence, found: header.sequence });
        }
        if header.previous == self.previous { Ok(()) } else { Err(Fault::Chain) }
    }

    /// Goes past the frame with this CRC.
    pub(crate) fn advance(&mut self, crc: u32) {
        self.sequence += 1;
        self.previous = crc;
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{Codec, FrameKind};
    use super::*;
    use crate::model::Lsn;

    #[test]
    fn only_the_next_frame_fits() {
        let next = Header {
            kind: FrameKind::Progress,
            codec: Codec::Plain,
            flags: 0,
            stored: 8,
            raw: 8,
            crc: 77,
            previous: 5,
            tape: TapeId([1; 16]),
            sequence: 3,
            epoch: 0,
            end: Lsn(1),
            synced: 0,
        };
        let mut chain = Chain { tape: TapeId([1; 16]), sequence: 3, previous: 5 };
        assert_eq!(chain, Chain::of(&next));
        let check = |header: Header, want| assert_eq!(chain.check(&header), want);
        check(next, Ok(()));
        check(Header { tape: TapeId([2; 16]), ..next }, Err(Fault::Tape));
        check(Header { sequence: 4, ..next }, Err(Fault::Sequence { expected: 3, found: 4 }));
        check(Header { previous: 6, ..next }, Err(Fault::Chain));
        chain.advance(next.crc);
        assert_eq!((chain.sequence, chain.previous), (4, 77));
    }
}
