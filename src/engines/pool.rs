//! A bounded pool of connections, each with its prepared statements.
//!
//! Invariants: at most `size` connections exist; a connection on which anything went wrong, or whose caller went away in
//! the middle, is closed and never handed out again.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::Statement;

use crate::pg::{self, Address, Purpose, Session};

/// Connections of a pool, unless said otherwise.
pub const POOL_SIZE_DEFAULT: usize = 10;

/// A drain waits this long for writes that are under way.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// An answered write is on disk: a role or database that says otherwise is overruled.
const COMMIT_IS_DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Connections by what they are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Idle, acquired and constructing together.
    pub total: usize,
    /// Open and waiting for work.
    pub idle: usize,
    /// At work.
    pub acquired: usize,
    /// Being opened.
    pub constructing: usize,
}

/// A pool is draining: no more connections are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// A bounded pool. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    size: usize,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    constructing: AtomicUsize,
    acquired: AtomicUsize,
    closed: AtomicBool,
}

/// An open connection and what it has prepared, by statement text.
struct Connection {
    session: Session,
    prepared: HashMap<&'static str, Statement>,
}

impl Pool {
    /// A pool that opens at most `size` connections, each when it is first needed.
    #[must_use]
    pub fn new(address: Address, size: usize) -> Self {
        assert!(size > 0, "a pool needs a connection");
        let shared = Shared {
            address,
            size,
            free: Arc::new(Semaphore::new(size)),
            idle: Mutex::default(),
            constructing: AtomicUsize::new(0),
            acquired: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A connection of the caller's own, until it is given back. Waits while all are taken; `Ok(Err(Closed))` when the
    /// pool drains.
    pub async fn acquire(&self) -> Result<Result<Lease, Closed>, pg::Error> {
        let shared = &self.shared;
        let permit = Arc::clone(&shared.free).acquire_owned().await.expect("the semaphore is never closed");
        if shared.closed.load(Ordering::SeqCst) {
            return Ok(Err(Closed));
        }
        let connection = match self.pop_idle() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        shared.acquired.fetch_add(1, Ordering::SeqCst);
        Ok(Ok(Lease { connection: Some(connection), shared: Arc::clone(shared), _permit: permit }))
    }

    /// Connections by what they are doing, for metrics.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let idle = self.shared.idle().len();
        let acquired = self.shared.acquired.load(Ordering::SeqCst);
        let constructing = self.shared.constructing.load(Ordering::SeqCst);
        Stat { total: idle + acquired + constructing, idle, acquired, constructing }
    }

    /// Hands out nothing more, waits up to [`DRAIN_TIMEOUT`] for what is under way, closes all. False when it gave up
    /// waiting: those writes will see their connection close when their process ends.
    pub async fn drain(&self) -> bool {
        self.shared.closed.store(true, Ordering::SeqCst);
        let all = u32::try_from(self.shared.size).unwrap_or(u32::MAX);
        let drained = timeout(DRAIN_TIMEOUT, self.shared.free.acquire_many(all)).await.is_ok();
        self.shared.idle().clear();
        drained
    }

    fn pop_idle(&self) -> Option<Connection> {
        let mut idle = self.shared.idle();
        while let Some(connection) = idle.pop() {
            if !connection.session.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self) -> Result<Connection, pg::Error> {
        let _counted = Counted::new(&self.shared.constructing);
        let session = pg::connect(&self.shared.address, Purpose::Engine).await?;
        session.batch_execute(COMMIT_IS_DURABLE).await?;
        Ok(Connection { session, prepared: HashMap::new() })
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts itself while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection in use. Dropped without [`Lease::give_back`], it is closed: something may still be running on it.
pub struct Lease {
    connection: Option<Connection>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The statement, prepared once a connection.
    pub async fn prepare(&mut self, sql: &'static str) -> Result<Statement, pg::Error> {
        let connection = self.connection.as_mut().expect("a lease holds its connection until it is dropped");
        if let Some(statement) = connection.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = connection.session.prepare(sql).await?;
        connection.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Back to the pool, after a complete answer.
    pub fn give_back(mut self) {
        if let Some(connection) = self.connection.take().filter(|c| !c.session.is_closed()) {
            self.shared.idle().push(connection);
        }
    }
}

impl Deref for Lease {
    type Target = tokio_postgres::Client;
    fn deref(&self) -> &tokio_postgres::Client {
        &self.connection.as_ref().expect("a lease holds its connection until it is dropped").session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.acquired.fetch_sub(1, Ordering::SeqCst);
    }
}
