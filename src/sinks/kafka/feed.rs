//! What turns the tape into records: the changes of tables, or an outbox. The sink's loop works with any.
//!
//! ```text
//!  tape ──▶ feed ──▶ Out ──▶ one Kafka transaction: records, the feed's notes, the sink's progress
//!            ▲                                          │
//!            └── restore, at the start ◀────────────────┘ committed
//! ```
//!
//! Invariants: a feed keeps nothing durable of its own; what it must know after a restart it writes down as notes, which
//! are committed with the records that they speak of. It is given whole units in the tape's order, each once since the
//! sink's position, but for what follows an uncertain commit: then a new feed is made and restored.

use super::changes::Stop;
use crate::model::{Lsn, Position};
use crate::pgoutput::Message;
use crate::sinks::Error;
use crate::tape::Head;

/// A record to be produced. Where it stands on the tape goes with it as headers `pgtape.position` and `pgtape.part`.
#[derive(Debug, Clone, Copy)]
pub struct Produce<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Its key; `None` is Kafka's null, which any partition may get.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is Kafka's null, a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, but for the two of its place.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The change it was made of.
    pub position: Position,
    /// Its number among the records of that change.
    pub part: u64,
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// This record cannot be produced, others can: too large, or of a topic that must not exist. Holds no value.
    #[error("{0}")]
    Unfit(String),
    /// Nothing more can be produced in this session.
    #[error(transparent)]
    Ended(#[from] Error),
}

/// Takes records, into the Kafka transaction that is open.
pub trait Out {
    /// Appends one; waits while the producer's queue is full.
    fn put(&mut self, record: &Produce<'_>) -> Result<(), PutError>;
}

/// Takes a feed's notes: compacted records of the progress topic, of this sink.
pub trait Notes {
    /// Sets the note `key` to `value`, or removes it.
    fn note(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error>;
}

/// Turns the tape into records.
pub trait Feed: Send {
    /// A note as it was committed; all of them, before anything else.
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), Error>;
    /// A message that describes tables, repeated from earlier on the tape.
    fn preamble(&mut self, message: Message<'_>) -> Result<(), Error>;
    /// A unit begins.
    fn begin(&mut self, head: &Head, out: &mut dyn Out) -> Result<(), Error>;
    /// A message of the unit, with its own LSN (zero when unknown) and its position.
    fn message(&mut self, lsn: Lsn, message: &Message<'_>, at: Position, out: &mut dyn Out) -> Result<(), Error>;
    /// The unit ends.
    fn commit(&mut self, head: &Head, out: &mut dyn Out) -> Result<(), Error>;
    /// Produces what has become due at `now_us` (microseconds since the Unix epoch) by the passing of time, between units;
    /// returns when to ask again, if ever.
    fn due(&mut self, now_us: i64, out: &mut dyn Out) -> Result<Option<i64>, Error>;
    /// Writes down what has changed, as the last thing before a Kafka transaction is committed.
    fn write_notes(&mut self, notes: &mut dyn Notes) -> Result<(), Error>;
    /// That transaction has been committed.
    fn committed(&mut self);
    /// Whether notes are to be written, for their own sake.
    fn has_notes(&self) -> bool {
        false
    }
    /// Whether more may be read from the tape now; false while what was produced has consequences that wait.
    fn has_room(&self) -> bool {
        true
    }
    /// Records that went into quarantine since this was last asked.
    fn quarantined(&mut self) -> u64 {
        0
    }
    /// Parts of the feed that have stopped, while the others go on.
    fn stopped(&self) -> Vec<Stop> {
        Vec::new()
    }
    /// Those of them that are to go on: they are owed what they missed.
    fn owed(&self) -> Vec<Stop> {
        Vec::new()
    }
    /// What was owed has been produced; those that are `left` have stopped again.
    fn paid(&mut self, left: Vec<Stop>) {
        drop(left);
    }
}
