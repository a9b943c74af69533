//! What the delivery loop asks of a sink.
//!
//! Invariant: the loop gives whole units in the tape's order, each once since the sink's own position; the sink makes its
//! effect and its position durable together, and shows nothing between units.

use std::sync::Arc;

use super::Error;
use super::control::CheckpointReply;
use super::standby::View;
use crate::model::Lsn;
use crate::pgoutput::Message;
use crate::tape::Head;

/// A consumer of the tape.
pub trait Sink {
    /// A message that describes tables, repeated from earlier on the tape.
    fn preamble(&mut self, message: Message<'_>) -> Result<(), Error>;
    /// A unit begins.
    fn begin(&mut self, head: &Head) -> Result<(), Error>;
    /// A message of the unit.
    fn message(&mut self, message: &Message<'_>) -> Result<(), Error>;
    /// The unit ends, and counts from here on.
    fn commit(&mut self, head: &Head) -> Result<(), Error>;
    /// Nothing happened up to `lsn`.
    fn progress(&mut self, lsn: Lsn);
    /// Whether what has been gathered should be flushed before more comes.
    fn is_full(&self) -> bool;
    /// Shows what has been gathered, and hands it on. Between units only.
    fn flush(&mut self) -> Result<(), Error>;

    /// Whether another unit may be given now; false while what was handed on takes its time, or must start over.
    fn has_room(&self) -> bool;
    /// Asks that the position `lsn`, which has been reached, becomes durable even without effect.
    fn demand(&mut self, lsn: Lsn);
    /// Whether that has happened.
    fn is_durable_at(&self, lsn: Lsn) -> bool;
    /// Why it may never be, as things stand.
    fn stuck(&self) -> Option<String>;
    /// What readers see.
    fn view(&self) -> Arc<View>;
    /// Writes a checkpoint in the background, and then says so.
    fn checkpoint(&mut self, done: CheckpointReply);
    /// Whether someone else moved its position, so that it must start over.
    fn must_restart(&self) -> bool;
}
