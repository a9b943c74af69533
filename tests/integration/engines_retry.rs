//! Writers and a server that goes away: nothing is lost, nothing is counted twice, nothing waits for ever.

use std::sync::Arc;
use std::time::Duration;

use pgtape::engines::metrics::{Observer, Outcome};
use pgtape::engines::perplex::{Deposit, Writer};
use pgtape::engines::retry::Policy;
use pgtape::engines::{Error, Event, Options, Store};
use pgtape::pg::{self, Purpose, Session};
use pgtape::sandbox::{Database, Proxy, free_port};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::common::engines::{address, engine_database, sql, store};

fn deposit(n: u128) -> Deposit {
    Deposit { event_id: Uuid::from_u128(n), address: "0xa".into(), amount_usdc: "1.5".parse().unwrap() }
}

fn held(database: &Database) -> String {
    database.psql("SELECT amount FROM perplex.vault_balances WHERE address = '0xa'").unwrap()
}

fn proxied(database: &Database) -> (Proxy, Store) {
    let url = database.url();
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).unwrap().parse().unwrap();
    let proxy = Proxy::start(port).unwrap();
    let store = Store::new(address(&proxy.url(&url)), Options::default());
    (proxy, store)
}

async fn session(database: &Database) -> Session {
    pg::connect(&address(&database.url()), Purpose::Control).await.unwrap()
}

/// Until a session of an engine waits for a lock; its process id.
async fn blocked(session: &Session) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'pgtape engine' AND wait_event_type = 'Lock'";
    loop {
        if let Some(row) = session.query_opt(sql, &[]).await.unwrap() {
            return row.get(0);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_counted_once() {
    let database = engine_database("perplex").await;
    let (proxy, store) = proxied(&database);
    let writer = Writer::new(store);
    assert!(writer.deposit(&deposit(1)).await.unwrap().applied);
    proxy.cut_after(1); // The server answers after its commit, so this cuts between commit and answer.
    assert!(!writer.deposit(&deposit(2)).await.unwrap().applied, "the first attempt had committed");
    assert!(proxy.was_cut());
    assert_eq!(held(&database), "3.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_waits_for_an_attempt_that_is_still_committing() {
    let database = engine_database("perplex").await;
    let (first, watcher) = (session(&database).await, session(&database).await);
    first.batch_execute("BEGIN").await.unwrap();
    let statement = first.prepare(&sql("engines/perplex/events/deposit.sql")).await.unwrap();
    let event = deposit(1);
    first.query(&statement, &[&event.event_id, &event.address, &event.amount_usdc]).await.unwrap();

    let writer = Writer::new(store(&database));
    let repeat = tokio::spawn(async move { writer.deposit(&deposit(1)).await.unwrap().applied });
    blocked(&watcher).await;
    first.batch_execute("COMMIT").await.unwrap();
    assert!(!repeat.await.unwrap());
    assert_eq!(held(&database), "1.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_killed_in_the_middle_is_repeated_elsewhere() {
    let database = engine_database("perplex").await;
    let writer = Writer::new(store(&database));
    writer.deposit(&deposit(1)).await.unwrap();
    let (first, watcher) = (session(&database).await, session(&database).await);
    first.batch_execute("BEGIN; LOCK perplex.vault_balances IN EXCLUSIVE MODE").await.unwrap();
    let repeat = tokio::spawn(async move { writer.deposit(&deposit(2)).await.unwrap().applied });
    let pid = blocked(&watcher).await;
    watcher.query("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    first.batch_execute("COMMIT").await.unwrap();
    assert!(repeat.await.unwrap(), "nothing of the killed attempt was committed");
    assert_eq!(held(&database), "3.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_are_repeated() {
    let database = engine_database("perplex").await;
    let name = database.name();
    database.psql(&format!("ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")).unwrap();
    let writer = Writer::new(store(&database));
    let mut deposits = JoinSet::new();
    for n in 1..=40 {
        let writer = writer.clone();
        deposits.spawn(async move { writer.deposit(&deposit(n)).await.unwrap().applied });
    }
    assert!(deposits.join_all().await.into_iter().all(|applied| applied));
    assert_eq!(held(&database), "60.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_durable_commits_is_overruled() {
    let database = engine_database("perplex").await;
    let name = database.name();
    database.psql(&format!("ALTER DATABASE \"{name}\" SET synchronous_commit = off")).unwrap();
    let setting = Event { name: "test.setting", sql: "SELECT current_setting('synchronous_commit')" };
    let rows = store(&database).read(&setting, &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, String>(0), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_bounded_and_drains() {
    const WAIT: Event = Event { name: "test.wait", sql: "SELECT true AS applied FROM pg_advisory_xact_lock_shared(7)" };
    let database = engine_database("perplex").await;
    let store = Store::new(address(&database.url()), Options { pool_size: 2, ..Options::default() });
    let gate = session(&database).await;
    gate.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    let mut writes = JoinSet::new();
    for _ in 0..6 {
        let store = store.clone();
        writes.spawn(async move { store.write(&WAIT, &[]).await.map(|committed| committed.applied) });
    }
    while store.pool().stat().acquired < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(store.pool().stat().total, 2);
    gate.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    assert!(writes.join_all().await.into_iter().all(|result| result.unwrap()));
    assert!(store.pool().stat().total <= 2);
    assert!(store.drain().await);
    assert_eq!(store.pool().stat().total, 0);
    assert!(matches!(store.write(&WAIT, &[]).await, Err(Error::Closed { op: "test.wait" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_gives_up_when_nobody_listens_and_says_that_it_does_not_know() {
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<(&'static str, Option<Outcome>)>>);
    impl Observer for Told {
        fn started(&self, op: &'static str) {
            self.0.lock().unwrap().push((op, None));
        }
        fn finished(&self, op: &'static str, outcome: Outcome, _elapsed: Duration) {
            self.0.lock().unwrap().push((op, Some(outcome)));
        }
    }
    let retry = Policy { give_up_after: Duration::from_millis(50), ..Policy::default() };
    let nobody = format!("postgres://postgres@127.0.0.1:{}/postgres", free_port().unwrap());
    let told = Arc::new(Told::default());
    let store = Store::observed(address(&nobody), Options { retry, ..Options::default() }, told.clone());
    let error = Writer::new(store).deposit(&deposit(1)).await.unwrap_err();
    assert!(error.may_be_repeated(), "{error}");
    assert!(matches!(error, Error::Unanswered { attempts: 2.., .. }), "{error}");
    let expected = [("perplex.deposit", None), ("perplex.deposit", Some(Outcome::Unanswered))];
    assert_eq!(*told.0.lock().unwrap(), expected);
}
