//! A delivered unit: its facts, and its messages one by one, borrowed from the reader.

use std::path::Path;

use super::{Mark, Reader};
use crate::model::Lsn;
use crate::tape::records::RecordCursor;
use crate::tape::{Error, Head};

/// Raw messages, borrowed from the reader.
#[derive(Debug)]
pub struct Messages<'a> {
    raw: &'a [u8],
    cursor: RecordCursor,
    path: &'a Path,
    offset: u64,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(raw: &'a [u8], cursor: RecordCursor, path: &'a Path, offset: u64) -> Self {
        Self { raw, cursor, path, offset }
    }

    /// The next message with its `wal_start` (zero when unknown); `None` after the last.
    pub fn next_message(&mut self) -> Result<Option<(Lsn, &'a [u8])>, Error> {
        self.cursor.next(self.raw).map_err(|fault| Error::damaged(self.path, self.offset, fault))
    }
}

/// The parts of a large unit, loaded one at a time.
#[derive(Debug)]
pub(crate) struct PartStream<'a> {
    reader: &'a mut Reader,
    /// The next part.
    mark: Mark,
    /// Offset of the Commit.
    end: u64,
    begin_lsn: Lsn,
    /// In the part at hand.
    cursor: RecordCursor,
}

impl<'a> PartStream<'a> {
    pub(crate) fn new(reader: &'a mut Reader, mark: Mark, end: u64, begin_lsn: Lsn) -> Self {
        Self { reader, mark, end, begin_lsn, cursor: RecordCursor::new(0..0, begin_lsn) }
    }

    fn next_message(&mut self) -> Result<Option<(Lsn, &[u8])>, Error> {
        while self.cursor.is_done() {
            let Some((range, next)) = self.reader.load_part(self.mark, self.end)? else { return Ok(None) };
            self.cursor = RecordCursor::new(range, self.begin_lsn);
            self.mark = next;
        }
        let message = self.cursor.next(&self.reader.raw);
        message.map_err(|fault| Error::damaged(self.reader.window.path(), self.mark.offset, fault))
    }
}

/// A committed unit, large or small, read message by message in flat memory. What is not read is skipped.
#[derive(Debug)]
pub struct Transaction<'a> {
    head: Head,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Small(Messages<'a>),
    Large(PartStream<'a>),
    Empty,
}

impl<'a> Transaction<'a> {
    pub(crate) fn small(head: Head, messages: Messages<'a>) -> Self {
        Self { head, source: Source::Small(messages) }
    }

    pub(crate) fn large(head: Head, parts: Option<PartStream<'a>>) -> Self {
        Self { head, source: parts.map_or(Source::Empty, Source::Large) }
    }
}

impl Transaction<'_> {
    /// Its facts.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next message with its `wal_start` (zero when unknown); `None` after the last. The message lives until the
    /// next call.
    pub fn next_message(&mut self) -> Result<Option<(Lsn, &[u8])>, Error> {
        match &mut self.source {
            Source::Small(messages) => messages.next_message(),
            Source::Large(parts) => parts.next_message(),
            Source::Empty => Ok(None),
        }
    }
}
