//! Answers that are made while they are sent: in chunks, only as fast as the client reads.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A chunk is sent when it has reached this size.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Rows taken from a table at a time, at most.
const ROWS_AT_A_TIME_MAX: usize = 256;
/// Chunks made ahead of the client.
const CHUNKS_AHEAD: usize = 4;
/// A client that takes nothing for this long is given up: it pins rows of the past.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Rows to take at a time from a table of `rows` rows in `bytes`: about a chunk.
pub(super) fn rows_at_a_time(rows: u64, bytes: u64) -> usize {
    let each = bytes.checked_div(rows).unwrap_or(0).max(1);
    usize::try_from(CHUNK_BYTES as u64 / each).unwrap_or(ROWS_AT_A_TIME_MAX).clamp(1, ROWS_AT_A_TIME_MAX)
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}

/// Makes an answer piece by piece.
pub(super) trait Produce: Send + 'static {
    /// Appends about [`CHUNK_BYTES`] to `chunk`. An error ends the answer short of its end.
    fn produce(&mut self, chunk: &mut Vec<u8>) -> Result<More, &'static str>;
}

/// The body that `producer` makes. `turn` is given back when it ends, in whatever way.
pub(super) fn body(mut producer: impl Produce, turn: impl Send + 'static, stop: CancellationToken) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD);
    tokio::spawn(async move {
        let _turn = turn;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
            let more = match producer.produce(&mut chunk) {
                Ok(more) => more,
                Err(why) => return cut(&sender, why),
            };
            let room = tokio::select! {
                room = timeout(STALL_MAX, sender.reserve()) => room,
                () = stop.cancelled() => return cut(&sender, "the service stops"),
            };
            match room {
                Ok(Ok(permit)) => permit.send(Ok(Bytes::from(chunk))),
                Ok(Err(_)) => return, // The client has gone.
                Err(_) => return cut(&sender, "the client does not read"),
            }
            if more == More::No {
                return;
            }
        }
    });
    Body::from_stream(Chunks(receiver))
}

/// Ends the answer so that the client sees that it is not whole.
fn cut(sender: &mpsc::Sender<io::Result<Bytes>>, why: &'static str) {
    tracing::warn!(why, "an answer was cut short");
    let _ = sender.try_send(Err(io::Error::other(why)));
}

/// The receiving end as a stream. A producer that ended without its last chunk (it panicked, or was cut while no chunk
/// fitted) must not look like an end: that is why the last line of a snapshot says so itself.
struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl futures_util::Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
