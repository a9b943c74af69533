//! Answers that are made while they are sent: in chunks, only as fast as the client reads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A chunk is sent when it has reached this size.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Chunks made ahead of the client.
const CHUNKS_AHEAD: usize = 4;
/// A client that takes nothing for this long is given up: it pins rows of the past.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}

/// Makes an answer piece by piece.
pub(super) trait Produce: Send + 'static {
    /// Appends about [`CHUNK_BYTES`] to `chunk`.
    fn produce(&mut self, chunk: &mut Vec<u8>) -> More;
}

/// The body that `producer` makes. `permit` is given back when it ends, in whatever way.
pub(super) fn body(mut producer: impl Produce, permit: Arc<OwnedSemaphorePermit>, stop: CancellationToken) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD);
    tokio::spawn(async move {
        let _permit = permit;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
            let more = producer.produce(&mut chunk);
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
