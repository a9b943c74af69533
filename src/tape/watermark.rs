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

    /// Waits until the end differs from what this handle last saw here.
    pub async fn changed(&mut self) -> End {
        // This handle keeps the sender alive, so the channel cannot close.
        self.receiver.changed().await.expect("a watermark holds its own sender");
        *self.receiver.borrow_and_update()
    }

    /// Publishes a new end.
    pub(crate) fn set(&self, end: End) {
        self.sender.send_replace(end);
    }
}
