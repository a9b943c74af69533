//! What the server is told: a standby status update with honest positions.
//!
//! Invariants: `flush` (what the slot is moved by) comes from a [`Durable`] only, and never goes back; `write` is what is
//! on the tape, synced or not. Pure: the clock comes in.

use std::time::{Duration, Instant};

use crate::model::Lsn;
use crate::pgoutput::POSTGRES_EPOCH_US;
use crate::tape::Durable;

/// Length of the message, bytes.
pub const UPDATE_BYTES: usize = 34;

/// The state of the conversation on one connection.
#[derive(Debug)]
pub struct Feedback {
    write: Lsn,
    flush: Lsn,
    told: Lsn,
    sent: Option<Instant>,
    interval: Duration,
}

impl Feedback {
    /// Nothing confirmed on this connection yet; an update at least every `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self { write: Lsn::ZERO, flush: Lsn::ZERO, told: Lsn::ZERO, sent: None, interval }
    }

    /// Everything up to `durable` is fsynced: the slot may move there. This is the only way to move it.
    pub fn confirm(&mut self, durable: Durable) {
        self.flush = self.flush.max(durable.lsn());
        self.write = self.write.max(self.flush);
    }

    /// Everything up to `lsn` has been received and appended.
    pub fn received(&mut self, lsn: Lsn) {
        self.write = self.write.max(lsn);
    }

    /// When the next update is due.
    #[must_use]
    pub fn due_at(&self, now: Instant) -> Instant {
        self.sent.map_or(now, |sent| sent + self.interval)
    }

    /// Whether the server has not been told yet how far it may forget.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.flush > self.told
    }

    /// The update, noted as sent at `now`. `unix_us` is the wall clock, for the server's statistics only; `ask` makes the
    /// server answer with its own position.
    pub fn update(&mut self, now: Instant, unix_us: i64, ask: bool) -> [u8; UPDATE_BYTES] {
        self.sent = Some(now);
        self.told = self.flush;
        let mut message = [0; UPDATE_BYTES];
        message[0] = b'r';
        message[1..9].copy_from_slice(&self.write.0.to_be_bytes());
        message[9..17].copy_from_slice(&self.flush.0.to_be_bytes());
        message[17..25].copy_from_slice(&self.flush.0.to_be_bytes());
        message[25..33].copy_from_slice(&(unix_us - POSTGRES_EPOCH_US).to_be_bytes());
        message[33] = u8::from(ask);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receiving_moves_write_and_never_flush() {
        let now = Instant::now();
        let mut feedback = Feedback::new(Duration::from_secs(1));
        feedback.received(Lsn(77));
        let update = feedback.update(now, POSTGRES_EPOCH_US + 5, true);
        assert_eq!(update[0], b'r');
        assert_eq!(update[1..9], 77u64.to_be_bytes());
        assert_eq!(update[9..25], [0; 16]);
        assert_eq!(update[25..33], 5i64.to_be_bytes());
        assert_eq!(update[33], 1);
        assert!(!feedback.has_news());
        assert_eq!(feedback.due_at(now), now + Duration::from_secs(1));
    }
}
