//! An event that waits.

use std::sync::Arc;

use crate::model::{Lsn, Position};

/// What a note may hold of payload and headers; larger ones are read from the table again after a restart.
pub const NOTE_BODY_BYTES_MAX: usize = 256 << 10;
/// Memory of a waiting row beside its texts: its places in the maps.
const OVERHEAD_BYTES: usize = 320;

/// Whose order is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregate {
    /// Its type, which names the topic.
    pub kind: Option<String>,
    /// Its id, the records' key.
    pub id: Option<String>,
}

impl Aggregate {
    /// As operators write it: `type/id`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.kind.as_deref().unwrap_or_default(), self.id.as_deref().unwrap_or_default())
    }
}

/// Where an event stands among the others: by the unit that brought it, and then by its number there. A copy brings its rows
/// in no order: they stand by their ids, where these are numbers, else by when they are available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// End of the unit.
    pub lsn: Lsn,
    /// Within it.
    pub within: i64,
}

impl Place {
    /// Of a change in the stream.
    #[must_use]
    pub fn of(at: Position) -> Self {
        Self { lsn: at.lsn, within: i64::try_from(at.op).unwrap_or(i64::MAX) }
    }

    /// Of a copied row.
    #[must_use]
    pub fn of_copied(at: Position, id: &str, available_us: i64) -> Self {
        Self { lsn: at.lsn, within: id.parse().unwrap_or(available_us) }
    }
}

/// What is only needed to emit.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Held {
        /// The record's value.
        payload: Option<Vec<u8>>,
        /// The text of the column of headers.
        headers: Option<String>,
    },
    /// In the table, to be read when it is needed.
    Elsewhere,
}

impl Body {
    /// Bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Body::Held { payload, headers } => {
                payload.as_ref().map_or(0, Vec::len) + headers.as_ref().map_or(0, String::len)
            }
            Body::Elsewhere => 0,
        }
    }
}

impl std::fmt::Debug for Body {
    /// Never shows the values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Held { .. } => write!(f, "{} bytes", self.bytes()),
            Body::Elsewhere => f.write_str("elsewhere"),
        }
    }
}

/// An event that waits, for its time or for another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its place: the order within its aggregate.
    pub place: Place,
    /// Whose it is.
    pub aggregate: Arc<Aggregate>,
    /// The header `eventType`.
    pub event_type: Option<String>,
    /// Payload and headers.
    pub body: Body,
    /// Not before, by the row; microseconds since the Unix epoch.
    pub available_us: i64,
    /// Not before, by the back-off.
    pub retry_us: i64,
    /// Failed attempts.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// The change it came with.
    pub at: Position,
}

impl Parked {
    /// When it may be tried, if nothing is before it.
    #[must_use]
    pub fn due_us(&self) -> i64 {
        self.available_us.max(self.retry_us)
    }

    /// Memory, without its body.
    #[must_use]
    pub fn bytes_alone(&self, id: &str) -> usize {
        let texts = [&self.event_type, &self.error, &self.aggregate.kind, &self.aggregate.id];
        OVERHEAD_BYTES + id.len() + texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum::<usize>()
    }
}
