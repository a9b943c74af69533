//! Follows the durable part of the tape.

use std::path::Path;

use super::{Error, Gap, Head, Watermark};
use crate::model::{Lsn, Position};

/// A reader of the tape, at a position of its own.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens the tape in `dir` to deliver everything after the commit of `after`.
    pub fn open(_dir: &Path, _after: Position, _watermark: Watermark) -> Result<Self, Error> {
        unimplemented!("in the next commits")
    }

    /// The next entry; `None` at the durable end (wait for the watermark to change, then ask again).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        unimplemented!("in the next commits")
    }
}

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

/// Raw messages, borrowed from the reader.
#[derive(Debug)]
pub struct Messages<'a> {
    _bytes: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The next message with its `wal_start` (zero when unknown).
    pub fn next_message(&mut self) -> Result<Option<(Lsn, &'a [u8])>, Error> {
        unimplemented!("in the next commits")
    }
}

/// A committed unit, large or small, read message by message in flat memory. What is not read is skipped.
#[derive(Debug)]
pub struct Transaction<'a> {
    head: Head,
    _messages: Messages<'a>,
}

impl Transaction<'_> {
    /// Its facts.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next message with its `wal_start` (zero when unknown); `None` after the last.
    pub fn next_message(&mut self) -> Result<Option<(Lsn, &[u8])>, Error> {
        unimplemented!("in the next commits")
    }
}
