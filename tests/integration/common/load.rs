//! Writers that commit random transactions until told to stop, through crashes of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pgtape::pg::{self, Address, Purpose, SqlState};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The dice of a writer.
pub type Dice = ChaCha8Rng;

/// A writer rests between transactions: it is to be met at any moment, not to be faster than a debug build.
const REST: Duration = Duration::from_millis(4);
/// Between two attempts to reach a server that is down.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Refusals that concurrent random writers earn by themselves; the transaction is rolled back, and that is all.
const HARMLESS: [SqlState; 4] = [
    SqlState::UNIQUE_VIOLATION,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::LOCK_NOT_AVAILABLE,
];

/// Running writers.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<u64>>,
}

impl Load {
    /// Starts `writers` writers; each commits what `next` makes of its dice, one batch of statements a transaction.
    pub fn start(url: &str, seed: u64, writers: u64, next: fn(&mut Dice) -> String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |writer| {
            let (url, stop, dice) = (url.to_owned(), Arc::clone(&stop), Dice::seed_from_u64(seed ^ (writer << 32)));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(write(&url, &stop, dice, next, u64::MAX))
            })
        };
        let writers = (0..writers).map(start).collect();
        Self { stop, writers }
    }

    /// Tries this many transactions, and returns when they are done.
    pub fn run(url: &str, seed: u64, transactions: u64, next: fn(&mut Dice) -> String) {
        let (stop, dice) = (AtomicBool::new(false), Dice::seed_from_u64(seed));
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(write(url, &stop, dice, next, transactions));
        };
        std::thread::scope(|scope| scope.spawn(run).join().expect("the writer panicked, see above"));
    }

    /// Stops the writers; returns how many transactions they committed.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.writers.into_iter().map(|writer| writer.join().expect("a writer panicked, see above")).sum()
    }
}

/// Commits until told to stop or `most` transactions were tried; returns how many were committed.
async fn write(url: &str, stop: &AtomicBool, mut dice: Dice, next: fn(&mut Dice) -> String, most: u64) -> u64 {
    let address: Address = url.parse().unwrap();
    let (mut tried, mut committed) = (0, 0);
    while !stop.load(Ordering::Relaxed) && tried < most {
        let Ok(session) = pg::connect(&address, Purpose::Engine).await else {
            tokio::time::sleep(RECONNECT_PAUSE).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) && tried < most {
            tried += 1;
            let sql = next(&mut dice);
            // Several statements in one simple query are one transaction.
            match session.batch_execute(&sql).await.map_err(pg::Error::from) {
                Ok(()) => committed += 1,
                Err(error) if error.code().is_some_and(|code| HARMLESS.contains(code)) => {
                    let _ = session.batch_execute("ROLLBACK").await; // The batch may have begun a transaction itself.
                }
                Err(error) if error.is_retryable() => break,
                Err(error) => panic!("{error}: {sql}"),
            }
            if most == u64::MAX {
                tokio::time::sleep(REST).await;
            }
        }
    }
    committed
}
