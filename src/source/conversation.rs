//! The two directions of one walsender connection held together: what comes, and what is answered, and when.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep_until, timeout};

use crate::model::Lsn;
use crate::tape::Durable;

use super::error::Error;
use super::feedback::Feedback;
use super::receive::Receiver;

/// An update at the end of the program, and the server's answer to it, may take this long.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// A connection that streams.
pub(super) struct Conversation {
    pub receiver: Receiver,
    feedback: Feedback,
    frozen_after: Duration,
    interval: Duration,
}

impl Conversation {
    pub fn new(receiver: Receiver, interval: Duration, frozen_after: Duration) -> Self {
        Self { receiver, feedback: Feedback::new(interval), frozen_after, interval }
    }

    /// The tape is durable up to here: the slot may move. Sent with the next update.
    pub fn confirm(&mut self, durable: Durable) {
        self.feedback.confirm(durable);
    }

    /// Everything up to `lsn` is on the tape, synced or not.
    pub fn received(&mut self, lsn: Lsn) {
        self.feedback.received(lsn);
    }

    /// When the next update is due.
    pub fn due_at(&self, now: Instant) -> Instant {
        self.feedback.due_at(now)
    }

    /// Sends an update if one is due, or the server asked (`reply`). A silent server is asked for its position, which an
    /// idle slot needs to move, and given up when it stays silent.
    pub async fn answer(&mut self, now: Instant, reply: bool) -> Result<(), Error> {
        let silence = now.saturating_duration_since(self.receiver.heard());
        if silence >= self.frozen_after {
            return Err(Error::Retry(format!("the server has been silent for {} s", silence.as_secs())));
        }
        if reply || now >= self.feedback.due_at(now) {
            self.send(silence >= self.interval / 2).await?;
        }
        Ok(())
    }

    /// Sends an update and asks the server for its position.
    pub async fn ask(&mut self) -> Result<(), Error> {
        self.send(true).await
    }

    async fn send(&mut self, ask: bool) -> Result<(), Error> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_us = i64::try_from(since_epoch.as_micros()).unwrap_or(0);
        let update = self.feedback.update(Instant::now(), unix_us, ask);
        self.receiver.send(update).await
    }

    /// Does something else for a while: nothing is read, updates go on.
    pub async fn keep_up<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        let done = loop {
            let due = self.due_at(Instant::now());
            tokio::select! {
                biased;
                done = &mut work => break done,
                () = sleep_until(due.into()) => self.send(false).await?,
            }
        };
        self.receiver.excuse_silence();
        Ok(done)
    }

    /// The last word: what is durable, and a good end. A server that hangs is left.
    pub async fn finish(mut self) {
        if self.feedback.has_news() && !matches!(timeout(GOODBYE_MAX, self.send(false)).await, Ok(Ok(()))) {
            tracing::warn!("the server could not be told the last position: it sends some transactions again");
        }
        self.receiver.finish(GOODBYE_MAX).await;
    }
}
