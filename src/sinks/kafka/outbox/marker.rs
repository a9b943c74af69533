//! Writes into the table what has become of its events, and reads from it what the feed did not keep.
//!
//! Invariants: only what is committed to Kafka is marked, and again after every start until the mark has come back over
//! the tape; nobody waits for it. A mark that was written and whose answer was lost is written again without effect.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Found, Mark, Outcome, Work};
use super::parked::Body;
use super::sql::{Statements, Types};
use crate::config::KafkaOutbox;
use crate::pg::{self, Address, Purpose, Session};

/// Rows of one statement, at most.
const BATCH_ROWS_MAX: usize = 1_000;
/// Others may join a batch for this long.
const GATHER: Duration = Duration::from_millis(20);
/// First and longest wait before failed work is tried again.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A server that does not answer for so long is given up.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// A row that an engine holds longer than this makes the batch wait for another try.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5s'";
/// A stop waits so long for the last batch; what it does not write is written after the next start.
const LAST_BATCH_MAX: Duration = Duration::from_secs(1);

/// Works on what is on the desk.
pub struct Marker {
    /// The table.
    pub settings: Arc<KafkaOutbox>,
    /// The work.
    pub desk: Arc<Desk>,
    /// The server, and the role that may mark.
    pub address: Address,
}

/// A session, with the statements for the table as it was then.
struct Prepared {
    session: Session,
    statements: Statements,
}

impl Marker {
    /// Works until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let mut prepared = None;
        let mut wait = RETRY_AFTER.0;
        while !cancel.is_cancelled() {
            if self.desk.work(1).is_empty() {
                tokio::select! {
                    () = self.desk.woken() => tokio::time::sleep(GATHER).await,
                    () = cancel.cancelled() => break,
                }
            }
            let worked = tokio::select! {
                worked = self.work(&mut prepared) => worked,
                () = until_late(&cancel) => break,
            };
            match worked {
                Ok(()) => wait = RETRY_AFTER.0,
                Err(error) => {
                    prepared = None;
                    let (table, retry_ms) = (&self.settings.table, wait.as_millis());
                    tracing::warn!(%table, %error, retry_ms, "marks of the outbox cannot be written");
                    self.desk.failed(error.to_string());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = cancel.cancelled() => break,
                    }
                    wait = (wait * 2).min(RETRY_AFTER.1);
                }
            }
        }
    }

    /// One batch of each kind.
    async fn work(&self, prepared: &mut Option<Prepared>) -> Result<(), pg::Error> {
        let work = self.desk.work(BATCH_ROWS_MAX);
        if work.is_empty() {
            return Ok(());
        }
        let attempt = async {
            let prepared = match prepared {
                Some(prepared) => prepared,
                None => prepared.insert(self.prepare().await?),
            };
            let found = prepared.read(&work.wanted).await?;
            fail::fail_point!("kafka-outbox::before-mark");
            prepared.mark(&work).await?;
            fail::fail_point!("kafka-outbox::after-mark");
            Ok(found)
        };
        let silent = |_| Err(pg::Error::Retry(format!("no answer within {} s", ATTEMPT_MAX.as_secs())));
        let found = tokio::time::timeout(ATTEMPT_MAX, attempt).await.unwrap_or_else(silent)?;
        self.desk.done(&work, found);
        Ok(())
    }

    async fn prepare(&self) -> Result<Prepared, pg::Error> {
        let session = pg::connect(&self.address, Purpose::Outbox).await?;
        session.batch_execute(LOCK_TIMEOUT).await?;
        let types = Types::of(&session, &self.settings).await?;
        Ok(Prepared { statements: Statements::new(&self.settings, &types), session })
    }
}

async fn until_late(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(LAST_BATCH_MAX).await;
}

impl Prepared {
    async fn mark(&self, work: &Work) -> Result<(), pg::Error> {
        let (mut delivered, mut dead, mut failed) = (Batch::default(), Batch::default(), Batch::default());
        for (id, Mark { at_us, attempts, outcome }) in &work.marks {
            match outcome {
                Outcome::Delivered => delivered.push(id, time(*at_us), *attempts),
                Outcome::Dead(reason) => dead.push(id, reason.clone(), *attempts),
            }
        }
        for (id, failure) in &work.failures {
            failed.push(id, failure.error.clone(), failure.attempts);
        }
        let Statements { delivered: mark_delivered, dead: mark_dead, failed: mark_failed, .. } = &self.statements;
        for (statement, batch) in [(mark_failed, failed), (mark_delivered, delivered), (mark_dead, dead)] {
            if let Some(statement) = statement.as_ref().filter(|_| !batch.ids.is_empty()) {
                self.session.execute(statement, &[&batch.ids, &batch.said, &batch.attempts]).await?;
            }
        }
        Ok(())
    }

    async fn read(&self, wanted: &[Arc<str>]) -> Result<Vec<(Arc<str>, Found)>, pg::Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = wanted.iter().map(|id| &**id).collect();
        let rows = self.session.query(&self.statements.read, &[&ids]).await?;
        let mut found = Vec::new();
        let mut missing: HashSet<&Arc<str>> = wanted.iter().collect();
        for row in rows {
            let id: Arc<str> = Arc::from(row.get::<_, &str>(0));
            missing.remove(&id);
            found.push((id, Found::Body(Body::Held { payload: row.get(1), headers: row.get(2) })));
        }
        found.extend(missing.into_iter().map(|id| (Arc::clone(id), Found::Gone)));
        Ok(found)
    }
}

/// The columns of one statement's parameters.
#[derive(Default)]
struct Batch {
    ids: Vec<String>,
    said: Vec<String>,
    attempts: Vec<i32>,
}

impl Batch {
    fn push(&mut self, id: &str, said: String, attempts: u32) {
        self.ids.push(id.to_owned());
        self.said.push(said);
        self.attempts.push(i32::try_from(attempts).unwrap_or(i32::MAX));
    }
}

/// As Postgres reads it.
fn time(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| "infinity".into(), |time| time.to_string())
}
