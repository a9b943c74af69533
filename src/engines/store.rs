//! The one way an event reaches Postgres: a connection of the pool, a prepared statement, retries, and the log position
//! up to which a reader must have read to see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postgres_types::{PgLsn, ToSql};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;

use super::metrics::{Observer, Outcome, Silent};
use super::pool::{Closed, POOL_SIZE_DEFAULT, Pool};
use super::retry::{Backoff, Policy};
use super::{Error, Event};
use crate::model::Lsn;
use crate::pg::{self, Address};

/// A server that has not answered a statement for this long is given up, and the statement repeated elsewhere.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sent right behind the event, so it runs after the event's COMMIT, at no extra round trip. The *insert* position: with
/// asynchronous commit the written one is too low.
const TOKEN: &str = "SELECT pg_current_wal_insert_lsn()";

/// Parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How a store behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most connections.
    pub pool_size: usize,
    /// When to repeat, when to give up.
    pub retry: Policy,
    /// Spreads the retries of processes that lost the server at the same moment.
    pub jitter_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { pool_size: POOL_SIZE_DEFAULT, retry: Policy::default(), jitter_seed: 0 }
    }
}

/// What is known of a committed event.
#[derive(Debug)]
pub struct Committed {
    /// True when this call's statement made the change; false when the event was there already. After a lost answer that
    /// is a success all the same: an event whose meaning depends on it reads the rest of [`Committed::row`].
    pub applied: bool,
    /// The event's answer.
    pub row: Row,
    /// A reader at or past this position sees the event.
    pub lsn: Lsn,
    /// Attempts made; above 1 an earlier one may have committed.
    pub attempts: u32,
}

/// What most writers answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// See [`Committed::applied`].
    pub applied: bool,
    /// See [`Committed::lsn`].
    pub lsn: Lsn,
}

impl From<Committed> for Written {
    fn from(committed: Committed) -> Self {
        Self { applied: committed.applied, lsn: committed.lsn }
    }
}

/// A database as an engine's writer sees it. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    retry: Policy,
    dice: Arc<AtomicU64>,
    observer: Arc<dyn Observer>,
}

impl Store {
    /// A store at `address`. Connects when first used.
    #[must_use]
    pub fn new(address: Address, options: Options) -> Self {
        Self::observed(address, options, Arc::new(Silent))
    }

    /// A store whose writes are told to `observer`.
    #[must_use]
    pub fn observed(address: Address, options: Options, observer: Arc<dyn Observer>) -> Self {
        let dice = Arc::new(AtomicU64::new(options.jitter_seed));
        Self { pool: Pool::new(address, options.pool_size), retry: options.retry, dice, observer }
    }

    /// The pool, for its metrics.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Commits the event: returns when Postgres has committed it, now or in an earlier attempt.
    pub async fn write(&self, event: &Event, params: Params<'_>) -> Result<Committed, Error> {
        let told = Told::start(&*self.observer, event.name);
        let result = self.commit(event, params).await;
        let outcome = match &result {
            Ok(committed) if committed.applied => Outcome::Applied,
            Ok(_) => Outcome::Repeated,
            Err(Error::Unanswered { .. }) => Outcome::Unanswered,
            Err(Error::Rejected { .. } | Error::Conflict { .. } | Error::Closed { .. } | Error::Refused(_)) => {
                Outcome::Rejected
            }
        };
        told.finish(outcome);
        result
    }

    /// Rows of a query, asked again when the connection is lost.
    pub async fn read(&self, query: &Event, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.repeat(query, params).await.map(|(rows, _, _)| rows)
    }

    /// Takes no more events, waits (bounded) for those under way, closes the connections.
    pub async fn drain(&self) -> bool {
        self.pool.drain().await
    }

    /// Asks until the event is known to stand, or known to be refused.
    async fn commit(&self, event: &Event, params: Params<'_>) -> Result<Committed, Error> {
        let mut committed = self.answer(event, params).await?;
        if !stands(&committed.row) && committed.attempts > 1 {
            // The repeat may have waited for the attempt whose answer was lost, and does not see what it waited for.
            committed = self.answer(event, params).await?;
        }
        if stands(&committed.row) { Ok(committed) } else { Err(Error::Conflict { op: event.name }) }
    }

    async fn answer(&self, event: &Event, params: Params<'_>) -> Result<Committed, Error> {
        let (mut rows, lsn, attempts) = self.repeat(event, params).await?;
        assert_eq!(rows.len(), 1, "{} answers one row", event.name);
        let row = rows.remove(0);
        Ok(Committed { applied: row.get("applied"), row, lsn, attempts })
    }

    async fn repeat(&self, event: &Event, params: Params<'_>) -> Result<(Vec<Row>, Lsn, u32), Error> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(self.retry, self.dice.fetch_add(1, Ordering::Relaxed));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match timeout(ANSWER_TIMEOUT, self.attempt(event.sql, params)).await {
                Ok(Ok(Ok((rows, lsn)))) => return Ok((rows, lsn, attempts)),
                Ok(Ok(Err(Closed))) if attempts == 1 => return Err(Error::Closed { op: event.name }),
                Ok(Ok(Err(Closed))) => {
                    let last = "the writer is shutting down".into();
                    return Err(Error::Unanswered { op: event.name, attempts, last });
                }
                Ok(Err(error)) => error,
                Err(_) => pg::Error::Retry(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
            };
            let pause = if error.is_retryable() { backoff.pause(begun.elapsed()) } else { None };
            let Some(pause) = pause else { return Err(Error::from_last(event.name, attempts, error)) };
            tracing::debug!(op = event.name, attempts, %error, "repeating");
            self.observer.retried(event.name);
            sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Result<(Vec<Row>, Lsn), Closed>, pg::Error> {
        let mut lease = match self.pool.acquire().await? {
            Ok(lease) => lease,
            Err(closed) => return Ok(Err(closed)),
        };
        let statement = lease.prepare(sql).await?;
        let token = lease.prepare(TOKEN).await?;
        // Polled in this order, so sent in this order: two implicit transactions, one round trip.
        let (rows, lsn) = tokio::join!(biased; lease.query(&statement, params), lease.query_one(&token, &[]));
        let rows = rows.map_err(pg::Error::from);
        let lsn = lsn.map_err(pg::Error::from).and_then(|row| read_lsn(&row));
        if matches!(&rows, Ok(_) | Err(pg::Error::Statement { .. })) && lsn.is_ok() {
            lease.give_back();
        }
        Ok(Ok((rows?, lsn?)))
    }
}

/// A write that the observer was told of: it is told of its end, too, whatever that is.
struct Told<'a> {
    observer: &'a dyn Observer,
    op: &'static str,
    begun: Instant,
    finished: bool,
}

impl<'a> Told<'a> {
    fn start(observer: &'a dyn Observer, op: &'static str) -> Self {
        observer.started(op);
        Self { observer, op, begun: Instant::now(), finished: false }
    }

    fn finish(mut self, outcome: Outcome) {
        self.finished = true;
        self.observer.finished(self.op, outcome, self.begun.elapsed());
    }
}

/// Dropped with the future of a write: cancelled.
impl Drop for Told<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.observer.abandoned(self.op);
        }
    }
}

/// Whether the event stands; an event without a column `known` always does.
fn stands(row: &Row) -> bool {
    !row.columns().iter().any(|column| column.name() == "known") || row.get("known")
}

fn read_lsn(row: &Row) -> Result<Lsn, pg::Error> {
    Ok(Lsn(row.try_get::<_, PgLsn>(0)?.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Spy(Mutex<Vec<&'static str>>);

    impl Observer for Spy {
        fn started(&self, _op: &'static str) {
            self.0.lock().unwrap().push("started");
        }
        fn finished(&self, _op: &'static str, _outcome: Outcome, _elapsed: Duration) {
            self.0.lock().unwrap().push("finished");
        }
        fn abandoned(&self, _op: &'static str) {
            self.0.lock().unwrap().push("abandoned");
        }
    }

    #[tokio::test]
    async fn a_cancelled_write_ends_for_the_observer_too() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://a@{}/d?sslmode=disable", silent.local_addr().unwrap());
        let spy = Arc::new(Spy::default());
        let store = Store::observed(url.parse().unwrap(), Options::default(), Arc::clone(&spy) as Arc<dyn Observer>);
        let event = Event { name: "s.event", sql: "SELECT" };
        timeout(Duration::from_millis(50), store.write(&event, &[])).await.unwrap_err();
        assert_eq!(*spy.0.lock().unwrap(), ["started", "abandoned"]);
        Told::start(&*spy, "s.event").finish(Outcome::Applied);
        assert_eq!(spy.0.lock().unwrap()[2..], ["started", "finished"]);
    }
}
