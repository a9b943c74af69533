//! What a writer is told, and what it says of the tape it found.

use bytes::Bytes;

use crate::model::Lsn;
use crate::tape::{Begin, Intent, Origin, TapeId, Watermark};

/// How the tape is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment at least this long is due to be rolled, bytes.
    pub segment_bytes: u64,
    /// Frames are closed at this length, bytes; units longer than this span frames.
    pub frame_bytes: usize,
    /// Whether frames are compressed where it pays.
    pub compress: bool,
    /// Size of the reserve file, bytes; 0 for none.
    pub reserve_bytes: u64,
    /// The name of the tape, if it is made now.
    pub new_tape: TapeId,
    /// The watermark of an earlier writer, to go on with.
    pub watermark: Option<Watermark>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            frame_bytes: 512 << 10,
            compress: true,
            reserve_bytes: 16 << 20,
            new_tape: TapeId(uuid::Uuid::new_v4().into_bytes()),
            watermark: None,
        }
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
    /// A unit that was cut short and is now abandoned: the server sends it again (a refresh must be begun again).
    pub unfinished: Option<Begin>,
    /// A first copy that was cut short and has been cut off: drop its slot and begin it again.
    pub copy_pending: Option<Intent>,
    /// The schema messages in force (Relation, Type, facts of tables), in the order in which they were said last: what
    /// the next [`roll`](super::Writer::roll) must repeat, unless a later message takes their place.
    pub schema: Vec<Bytes>,
}
