//! Commits the deltas of one roll-up together with its position: all of a batch in one transaction, or nothing.
//!
//! The transaction begins with the position, from where it is expected to be; where it is not, or where the target is
//! another one than was written, nothing is written. A connection lost in the commit leaves open what happened, so the
//! position is read before the batch is tried again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::contract::RollUp;
use super::mailbox::{Batch, Due, Mailbox};
use super::sql::Statements;
use crate::model::Position;
use crate::pg::{self, Address, Purpose, Session};
use crate::sinks::cursor::{self, Identity, Stored};

/// A position without effect is committed when the last commit is so old and captured tables had transactions.
pub const POSITION_AGE_MAX: Duration = Duration::from_secs(60);
/// First and longest wait before a failed batch is tried again.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A roll-up that has nothing to write looks this often whether its position was moved.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server that does not answer for so long is given up, and asked again on a new connection.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// The same for replacing a whole target.
const REPLACE_MAX: Duration = Duration::from_secs(3600);
/// A stop waits so long for the last transaction.
const LAST_COMMIT_MAX: Duration = Duration::from_secs(2);

/// Writes one roll-up.
pub struct Writer {
    /// The roll-up.
    pub rollup: Arc<dyn RollUp>,
    /// What is to be written.
    pub mailbox: Arc<Mailbox>,
    /// The server.
    pub address: Address,
    /// Whose positions are written.
    pub identity: Identity,
    /// Deltas are joined by more for this long.
    pub flush_every: Duration,
}

/// How trying a batch ended.
enum Tried {
    Committed(Stored),
    /// The position is not where it was expected, or the target is another one.
    Elsewhere,
}

impl Writer {
    /// Writes until cancelled, or until another writer has moved the position.
    pub async fn run(self, cancel: CancellationToken) {
        let statements = Statements::new(self.rollup.target());
        let mut session = None;
        loop {
            let stop = self.wait(&cancel).await;
            if !stop && !self.is_due() {
                if self.is_elsewhere(&mut session).await {
                    return self.fenced();
                }
                continue;
            }
            if stop && matches!(self.mailbox.due(), Due::No | Due::WhenOld(_)) {
                break;
            }
            let batch = self.mailbox.take();
            let too_late = async {
                cancel.cancelled().await;
                tokio::time::sleep(LAST_COMMIT_MAX).await;
            };
            let fenced = tokio::select! {
                fenced = self.write(&mut session, &statements, &batch, &cancel) => fenced,
                () = too_late => break,
            };
            if fenced {
                return self.fenced();
            }
            if stop {
                break;
            }
        }
        self.mailbox.stopped(None, false);
    }

    fn fenced(&self) {
        let what = "its position was moved: by sink rewind or rebuild, by another pgtape, or its target was made anew";
        tracing::warn!(rollup = self.rollup.name(), "{what}; it starts over from there");
        self.mailbox.stopped(Some(what.to_owned()), true);
    }

    /// Whether someone has moved the position of a roll-up that has nothing to write: it would not notice otherwise.
    async fn is_elsewhere(&self, session: &mut Option<Session>) -> bool {
        let look = async {
            let session = match session {
                Some(session) => session,
                None => session.insert(pg::connect(&self.address, Purpose::Rollup).await?),
            };
            cursor::read(&**session, self.rollup.name()).await
        };
        match tokio::time::timeout(ATTEMPT_MAX, look).await {
            Ok(Ok(stored)) => stored != self.mailbox.stored(),
            // The next commit will tell.
            Ok(Err(_)) | Err(_) => {
                *session = None;
                false
            }
        }
    }

    /// Whether something is to be committed now.
    fn is_due(&self) -> bool {
        match self.mailbox.due() {
            Due::Now | Due::Soon => true,
            Due::WhenOld(committed_at) => committed_at + POSITION_AGE_MAX <= Instant::now(),
            Due::No => false,
        }
    }

    /// Waits until there is something to commit, or to look after the position. `true`: stop.
    async fn wait(&self, cancel: &CancellationToken) -> bool {
        loop {
            let sleep_until = match self.mailbox.due() {
                Due::Now => return cancel.is_cancelled(),
                Due::Soon => {
                    // Others may join, but not for longer than this.
                    let joined = tokio::time::timeout(self.flush_every, self.until_now());
                    tokio::select! {
                        _ = joined => return cancel.is_cancelled(),
                        () = cancel.cancelled() => return true,
                    }
                }
                Due::WhenOld(_) if self.is_due() => return cancel.is_cancelled(),
                Due::WhenOld(committed_at) => (committed_at + POSITION_AGE_MAX).min(Instant::now() + LOOK_EVERY),
                Due::No => Instant::now() + LOOK_EVERY,
            };
            let timer = tokio::time::sleep_until(sleep_until.into());
            tokio::select! {
                () = self.mailbox.woken() => {}
                () = timer => return cancel.is_cancelled(),
                () = cancel.cancelled() => return true,
            }
        }
    }

    async fn until_now(&self) {
        while self.mailbox.due() != Due::Now {
            self.mailbox.woken().await;
        }
    }

    /// Commits the batch, however often that takes. `true`: another writer is there.
    async fn write(
        &self,
        session: &mut Option<Session>,
        statements: &Statements,
        batch: &Batch,
        cancel: &CancellationToken,
    ) -> bool {
        let expected = self.mailbox.stored();
        let mut wait = RETRY_AFTER.0;
        let mut in_doubt = false;
        loop {
            let attempt = self.attempt(session, statements, batch, expected.as_ref(), in_doubt);
            let limit = if batch.replace { REPLACE_MAX } else { ATTEMPT_MAX };
            let silent = |_| Err(pg::Error::Retry(format!("no answer within {} s", limit.as_secs())));
            match tokio::time::timeout(limit, attempt).await.unwrap_or_else(silent) {
                Ok(Tried::Committed(stored)) => {
                    fail::fail_point!("sinks::after-rollup-commit");
                    self.mailbox.committed(stored);
                    return false;
                }
                Ok(Tried::Elsewhere) => return true,
                Err(error) => {
                    *session = None;
                    in_doubt = true;
                    let retry_ms = wait.as_millis();
                    tracing::warn!(rollup = self.rollup.name(), %error, retry_ms, "commit of a roll-up failed");
                    self.mailbox.failing(error.to_string(), !error.is_retryable());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.cancelled() => return false,
            }
            wait = (wait * 2).min(RETRY_AFTER.1);
        }
    }

    async fn attempt(
        &self,
        session: &mut Option<Session>,
        statements: &Statements,
        batch: &Batch,
        expected: Option<&Stored>,
        in_doubt: bool,
    ) -> Result<Tried, pg::Error> {
        let session = match session {
            Some(session) => session,
            None => session.insert(pg::connect(&self.address, Purpose::Rollup).await?),
        };
        let to = Stored {
            generation: expected.map_or(1, |stored| stored.generation + i64::from(stored.stale)),
            identity: self.identity.clone(),
            epoch: batch.to.0,
            lsn: batch.to.1,
            stale: false,
        };
        if in_doubt && cursor::read(&**session, self.rollup.name()).await?.as_ref() == Some(&to) {
            return Ok(Tried::Committed(to)); // The answer was lost, not the commit.
        }
        let transaction = session.transaction().await?;
        if !cursor::advance(&transaction, self.rollup.name(), expected, &to).await? {
            transaction.rollback().await?;
            return Ok(Tried::Elsewhere);
        }
        if batch.replace {
            statements.empty(&transaction).await?;
        }
        statements.add(&transaction, &batch.deltas).await?;
        fail::fail_point!("sinks::before-rollup-commit");
        transaction.commit().await?;
        tracing::debug!(
            rollup = self.rollup.name(),
            position = %Position::whole(to.lsn),
            groups = batch.deltas.len(),
            "committed"
        );
        Ok(Tried::Committed(to))
    }
}
