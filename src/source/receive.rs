//! The walsender connection: starts the stream, hands out its messages in place, sends updates.
//!
//! Invariants: memory is the connection's one read buffer; a message is borrowed from it. A server that sends nothing for
//! too long is given up, unless it was we who did not read.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::model::Lsn;
use crate::pg::{self, Error as PgError, Purpose, Wire, WireOptions};

use super::Settings;
use super::error::{Doing, Error};
use super::feedback::UPDATE_BYTES;

/// What the kernel may take in advance, bytes: small, so that the server gathers messages while we are busy.
const RECEIVE_BUFFER_BYTES: u32 = 64 << 10;
/// Sending an update may take this long: a server that takes none for so long is frozen.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// `wal_sender_timeout` of our session: how long a slot stays in use after its pgtape vanished without a word.
const WAL_SENDER_TIMEOUT: &str = "60s";

/// An event of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message of pgoutput.
    Data {
        /// As the server sent it.
        wal_start: Lsn,
        /// The raw message.
        message: &'a [u8],
    },
    /// The server has read its log up to `wal_end`, and sent everything of it.
    Keepalive {
        /// How far the server is.
        wal_end: Lsn,
        /// Whether it wants an update at once.
        reply: bool,
    },
}

/// A stream.
pub struct Receiver {
    wire: Wire,
    heard: Instant,
}

/// Options of the walsender session that streams.
pub(super) fn streaming(settings: &Settings) -> WireOptions {
    let work_mem_kb = (settings.decoding_memory_bytes >> 10).clamp(64, 2_097_151);
    WireOptions {
        purpose: Purpose::Stream,
        replication: true,
        receive_buffer_bytes: Some(RECEIVE_BUFFER_BYTES),
        settings: vec![
            ("logical_decoding_work_mem", format!("{work_mem_kb}kB")),
            ("wal_sender_timeout", WAL_SENDER_TIMEOUT.into()),
        ],
    }
}

/// The publication as the command that starts a stream names it, within a literal.
pub(super) fn publication_names(publication: &str) -> String {
    pg::identifier(publication).replace('\'', "''")
}

impl Receiver {
    /// Starts the stream at `from` on a walsender session.
    pub async fn start(mut wire: Wire, slot: &str, publication: &str, from: Lsn) -> Result<Self, Error> {
        let publications = publication_names(publication);
        let sql = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names '{publications}', messages 'true')",
            pg::identifier(slot)
        );
        wire.start_copy(&sql, b'W').await.doing("start the stream")?;
        Ok(Self { wire, heard: Instant::now() })
    }

    /// The next event, if it has been received already; left in place.
    pub fn peek(&self) -> Result<Option<Event<'_>>, Error> {
        self.wire.peek().doing("read the stream")?.map(event).transpose()
    }

    /// Takes the event that was peeked at.
    pub fn consume(&mut self) {
        self.wire.consume();
    }

    /// Reads once more from the connection. May be cancelled.
    pub async fn fill(&mut self) -> Result<usize, Error> {
        let bytes = self.wire.fill().await.doing("read the stream")?;
        self.heard = Instant::now();
        Ok(bytes)
    }

    /// Sends an update.
    pub async fn send(&mut self, update: [u8; UPDATE_BYTES]) -> Result<(), Error> {
        match timeout(SEND_TIMEOUT, self.wire.send(b'd', &update)).await {
            Ok(sent) => sent.doing("confirm"),
            Err(_) => Err(Error::Retry(format!("the server took nothing for {} s", SEND_TIMEOUT.as_secs()))),
        }
    }

    /// When bytes last came.
    #[must_use]
    pub const fn heard(&self) -> Instant {
        self.heard
    }

    /// We did not read for a while, so the silence was ours.
    pub fn excuse_silence(&mut self) {
        self.heard = Instant::now();
    }

    /// Ends the stream in good order, so that the server has read the last update before the connection closes.
    pub async fn finish(mut self, patience: Duration) {
        let goodbye = async {
            self.wire.send(b'c', &[]).await?;
            loop {
                if let (b'Z' | b'E', _) = self.wire.message().await? {
                    return Ok::<(), PgError>(());
                }
            }
        };
        match timeout(patience, goodbye).await {
            Ok(Ok(())) => tracing::debug!("the stream ended in good order"),
            Ok(Err(error)) => tracing::debug!(%error, "the stream ended"),
            Err(_) => tracing::warn!("the server did not answer the end of the stream; left it"),
        }
    }
}

/// Reads an event out of a message of the connection.
fn event((tag, body): (u8, &[u8])) -> Result<Event<'_>, Error> {
    let lsn = |at: usize| body.get(at..at + 8).map(|b| Lsn(u64::from_be_bytes(b.try_into().expect("eight bytes"))));
    let short = || Error::Retry("the server sent a message cut short".into());
    match (tag, body.first()) {
        // w: start, end, time, message
        (b'd', Some(b'w')) => {
            let message = body.get(25..).ok_or_else(short)?;
            Ok(Event::Data { wal_start: lsn(1).ok_or_else(short)?, message })
        }
        // k: end, time, whether to reply
        (b'd', Some(b'k')) => {
            let reply = *body.get(17).ok_or_else(short)? != 0;
            Ok(Event::Keepalive { wal_end: lsn(1).ok_or_else(short)?, reply })
        }
        (b'E', _) => Err(Error::from_pg("read the stream", pg::error_response(body))),
        (b'c', _) => Err(Error::Retry("the server ended the stream".into())),
        (b'N' | b'S', _) => Ok(Event::Keepalive { wal_end: Lsn::ZERO, reply: false }),
        (tag, _) => Err(Error::from_pg("read the stream", pg::unexpected(tag))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_place_and_cut_ones_refused() {
        let mut data = b"w".to_vec();
        data.extend_from_slice(&7u64.to_be_bytes());
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(b"Ixyz");
        let Event::Data { wal_start: Lsn(7), message: b"Ixyz" } = event((b'd', &data)).unwrap() else {
            panic!("{data:?}")
        };
        let mut alive = b"k".to_vec();
        alive.extend_from_slice(&9u64.to_be_bytes());
        alive.extend_from_slice(&[0; 8]);
        alive.push(1);
        assert_eq!(event((b'd', &alive)).unwrap(), Event::Keepalive { wal_end: Lsn(9), reply: true });
        for body in [&data[..24], &alive[..17], b"x", b""] {
            assert!(event((b'd', body)).is_err());
        }
        assert!(matches!(event((b'c', b"")), Err(Error::Retry(_))));
    }
}
