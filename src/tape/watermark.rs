//! How far the tape is durable: set by the writer's sync, read and awaited by readers.
//!
//! Invariant: what lies below the watermark is fsynced and will never be taken back, except a first copy that never
//! counted.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::Lsn;

/// The durable end of the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Everything up to this position is durable.
    pub lsn: Lsn,
    /// The epoch of the last unit that counts.
    pub epoch: u32,
    /// Number of the newest segment.
    pub segment: u64,
    /// Durable bytes of it.
    pub offset: u64,
    /// Counts the writers that have published here: a new one may have cut a copy that never counted.
    pub writer: u64,
}

/// A handle on the durable end. Clones see the same end; it outlives a writer, so that the next one can go on with it.
#[derive(Debug, Clone)]
pub struct Watermark {
    sender: Arc<watch::Sender<End>>,
    receiver: watch::Receiver<End>,
}

impl Watermark {
    /// A watermark at `end`.
    pub(crate) fn new(end: End) -> Self {
        let (sender, receiver) = watch::channel(end);
        Self { sender: Arc::new(sender), receiver }
    }

    /// The durable end now.
    #[must_use]
    pub fn get(&self) -> End {
        *self.receiver.borrow()
    }

    /// The durable LSN now.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.get().lsn
    }

    /// Waits until the end is another than `seen`, and returns it; at once if it is already.
    pub async fn past(&self, seen: End) -> End {
        let mut receiver = self.receiver.clone();
        // This handle keeps the sender alive, so the channel cannot close.
        *receiver.wait_for(|end| *end != seen).await.expect("a watermark holds its own sender")
    }

    /// Waits until the end differs from what *this* handle last saw here; a clone has not seen what came after its
    /// original was made. [`Watermark::past`] needs no such care.
    pub async fn changed(&mut self) -> End {
        self.receiver.changed().await.expect("a watermark holds its own sender");
        *self.receiver.borrow_and_update()
    }

    /// Publishes a new end; the same one wakes nobody.
    pub(crate) fn set(&self, end: End) {
        self.sender.send_if_modified(|now| std::mem::replace(now, end) != end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiter_wakes_for_another_end_and_for_nothing_else() {
        let watermark = Watermark::new(End::default());
        let next = End { lsn: Lsn(10), ..End::default() };
        let mut seeing = watermark.clone();
        watermark.set(End::default());
        assert!(!seeing.receiver.has_changed().unwrap());
        let waiting = tokio::spawn({
            let watermark = watermark.clone();
            async move { watermark.past(End::default()).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        watermark.set(next);
        assert_eq!(waiting.await.unwrap(), next);
        assert_eq!(watermark.past(End::default()).await, next);
        assert_eq!(seeing.changed().await, next);
    }
}
