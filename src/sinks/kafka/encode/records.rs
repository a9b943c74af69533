//! Records on their way to a producer, in one buffer that is used again and again.

use std::ops::Range;

/// Records in the order in which they must be produced.
#[derive(Debug, Clone, Default)]
pub struct Records {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Debug, Clone)]
struct Span {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    header: Option<(Header, Range<usize>)>,
}

/// A record. Its topic is that of the table, or of the kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is Kafka's null, a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its only header: where an update gave the row another key.
    pub header: Option<(Header, &'a [u8])>,
}

/// Headers of an update that gave a row another key. Their value is the JSON of that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// On the delete of the old row, and on its tombstone.
    NewKey,
    /// On the new row.
    OldKey,
}

impl Header {
    /// The header's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Header::NewKey => "__debezium.newkey",
            Header::OldKey => "__debezium.oldkey",
        }
    }
}

impl Records {
    /// Forgets all records, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// The records, first to be produced first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let slice = |range: &Range<usize>| &self.bytes[range.clone()];
        self.spans.iter().map(move |span| Record {
            key: span.key.as_ref().map(slice),
            value: span.value.as_ref().map(slice),
            header: span.header.as_ref().map(|(header, range)| (*header, slice(range))),
        })
    }

    /// Number of bytes of all keys, values and headers; shared ones count once.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Runs `write`, and takes back what it wrote when it fails.
    pub(in super::super) fn all_or_nothing<T, E>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let (bytes, spans) = (self.bytes.len(), self.spans.len());
        let written = write(self);
        if written.is_err() {
            self.bytes.truncate(bytes);
            self.spans.truncate(spans);
        }
        written
    }

    /// Appends bytes that a record will use.
    pub(in super::super) fn part<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Range<usize>, E> {
        let start = self.bytes.len();
        write(&mut self.bytes)?;
        Ok(start..self.bytes.len())
    }

    /// Appends bytes that a record will use.
    pub(in super::super) fn sure_part(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        start..self.bytes.len()
    }

    /// Appends a record of parts.
    pub(in super::super) fn push(
        &mut self,
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
        header: Option<(Header, Range<usize>)>,
    ) {
        self.spans.push(Span { key, value, header });
    }
}
