//! Simulated engines on a real server: what they were acknowledged is there, however they or the server end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgtape::engines::Name;
use pgtape::engines::migrate::Action;
use pgtape::sandbox::{Database, Process, Proxy};
use pgtape::sim::check::{self, InFlightEnd, Rule};
use pgtape::sim::record::{self, State};
use pgtape::sim::{self, Report, SimSettings};
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::engines::{address, migrate};
use crate::common::{seed, server, service};

/// 2026-01-31 10:00 UTC.
const START: &str = "2026-01-31T10:00:00Z";

/// Faster than any server: the simulation is limited by the server. Simulated time follows from it.
const RATE: u32 = 10_000;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(2);

const MINE: [Name; 3] = [Name::Perplex, Name::Openmatch, Name::Meltica];

async fn database() -> Database {
    let database = crate::common::database();
    migrate(&database.url(), Action::Up, None).await;
    database
}

fn settings(url: &str, seed: u64, events: u64, record_dir: &Path) -> SimSettings {
    SimSettings {
        address: address(url),
        engines: MINE.to_vec(),
        rate: RATE,
        seconds: 0,
        events_max: Some(events),
        seed,
        start_us: START.parse::<jiff::Timestamp>().unwrap().as_microsecond(),
        record_dir: record_dir.to_owned(),
        standby_url: None,
    }
}

async fn run(settings: SimSettings) -> Report {
    sim::run(settings, CancellationToken::new()).await.unwrap_or_else(|e| panic!("{}", e.into_refusal()))
}

fn records(dir: &Path) -> Vec<State> {
    record::read_all(dir).unwrap()
}

/// Events acknowledged so far, over all actors; 0 while a record is being begun.
fn acknowledged(dir: &Path) -> u64 {
    record::read_all(dir).map_or(0, |records| records.iter().map(|record| record.acknowledged).sum())
}

async fn assert_promises_kept(url: &str, dir: &Path) -> check::Report {
    let report = check::against_postgres(&address(url), &records(dir), Rule::Exclusive).await.unwrap();
    assert!(report.ok(), "{:#?}", report.findings);
    report
}

/// Every row of every table as text, without what sequences fill: a retry may leave a hole in them.
fn all_rows(database: &Database) -> BTreeMap<String, String> {
    let tables = "SELECT schemaname || '.' || tablename FROM pg_tables
        WHERE schemaname IN ('perplex', 'openmatch', 'meltica') AND tablename <> 'pnl_daily'";
    let rows = |table: &str| {
        let serial = if table.starts_with("meltica.") { "{id,provider_id,aggregate_id}" } else { "{seq}" };
        let uuids = "{meltica.orders,meltica.strategy_instances}";
        let sql = format!(
            "SELECT to_jsonb(t) - CASE WHEN '{table}' = ANY ('{uuids}') THEN '{{provider_id}}' ELSE '{serial}' END::text[]
             FROM {table} t ORDER BY 1"
        );
        database.psql(&sql).unwrap()
    };
    database.psql(tables).unwrap().lines().map(|table| (table.to_owned(), rows(table))).collect()
}

fn simulate(url: &str, seed: u64, events: u64, record_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtape"));
    command.args(["simulate", "--engines", "perplex,openmatch,meltica", "--seconds", "0", "--url", url]);
    command.args(["--start", START, "--rate", &RATE.to_string(), "--seed", &seed.to_string()]);
    command.args(["--events", &events.to_string(), "--record-dir"]).arg(record_dir);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_row_is_in_postgres() {
    let (database, dir) = (database().await, TempDir::new().unwrap());
    let report = run(settings(&database.url(), 7, 400, dir.path())).await;
    assert_eq!(report.actors.len(), MINE.len());
    assert!(report.actors.values().all(|actor| actor.events == 400), "{report:?}");
    let check = assert_promises_kept(&database.url(), dir.path()).await;
    assert!(check.actors.values().all(|actor| actor.in_flight == InFlightEnd::None), "{check:?}");
    // It does what it is for: every table has rows.
    let empty: Vec<_> = all_rows(&database).into_iter().filter(|(_, rows)| rows.trim().is_empty()).collect();
    assert_eq!(empty, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_rows_through_kills_of_the_engine() {
    let (calm, rough) = (database().await, database().await);
    let (calm_dir, rough_dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(settings(&calm.url(), 11, 250, calm_dir.path())).await;

    let command = || simulate(&rough.url(), 11, 250, rough_dir.path());
    let mut engine = Process::start("engines", command(), &rough_dir.path().join("log")).unwrap();
    for kill_at in [60, 200, 430] {
        while acknowledged(rough_dir.path()) < kill_at {
            assert_eq!(engine.ended().unwrap(), None, "{}", engine.output());
            tokio::time::sleep(POLL).await;
        }
        engine.kill9().unwrap();
        assert_promises_kept(&rough.url(), rough_dir.path()).await;
        engine.start_again(command()).unwrap();
    }
    let status = engine.wait(Duration::from_secs(120)).unwrap();
    assert!(status.success(), "{}", engine.output());
    assert_promises_kept(&rough.url(), rough_dir.path()).await;
    assert_eq!(all_rows(&rough), all_rows(&calm));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_cut_connections_lose_and_double_nothing() {
    let (calm, rough) = (database().await, database().await);
    let (calm_dir, rough_dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(settings(&calm.url(), 13, 200, calm_dir.path())).await;

    let url = rough.url();
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).unwrap().parse().unwrap();
    let (proxy, done) = (Proxy::start(port).unwrap(), AtomicBool::new(false));
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed());
    let settings = settings(&proxy.url(&url), 13, 200, rough_dir.path());
    let cuts = std::thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            let mut cuts = 0;
            while !done.load(Ordering::SeqCst) {
                if proxy.was_cut() {
                    cuts += 1;
                    proxy.cut_after(dice.random_range(1..6_000));
                }
                std::thread::sleep(POLL);
            }
            cuts
        });
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run(settings)));
        done.store(true, Ordering::SeqCst);
        cutter.join().unwrap()
    });
    assert!(cuts > 10, "only {cuts} cuts");
    assert_promises_kept(&url, rough_dir.path()).await;
    assert_eq!(all_rows(&rough), all_rows(&calm));
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_go_on_when_postgres_stops_at_once_and_comes_back() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    migrate(&server.url(), Action::Up, None).await;
    let running = tokio::spawn(run(settings(&server.url(), 17, 200, dir.path())));
    for stop_at in [50, 300] {
        while acknowledged(dir.path()) < stop_at {
            assert!(!running.is_finished(), "it ended by itself");
            tokio::time::sleep(POLL).await;
        }
        server.stop_immediate().unwrap();
        server.start_again().unwrap();
    }
    let report = running.await.unwrap();
    assert!(report.actors.values().all(|actor| actor.events == 200), "{report:?}");
    assert_promises_kept(&server.url(), dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_comes_back_from_the_standby_and_both_show_what_was_acknowledged() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    migrate(&server.url(), Action::Up, None).await;
    let service = service(&server.url(), &dir, "perplex.*,openmatch.*,meltica.*");
    let record_dir = dir.path().join("records");
    let command = || {
        let mut command = simulate(&server.url(), 19, 250, &record_dir);
        command.args(["--rehydrate", "--listen", &format!("127.0.0.1:{}", service.service().port)]);
        command
    };
    let mut engine = Process::start("engines", command(), &dir.path().join("engines.log")).unwrap();
    for kill_at in [80, 300] {
        while acknowledged(&record_dir) < kill_at {
            assert_eq!(engine.ended().unwrap(), None, "{}", engine.output());
            tokio::time::sleep(POLL).await;
        }
        engine.kill9().unwrap();
        engine.start_again(command()).unwrap();
    }
    let status = engine.wait(Duration::from_secs(120)).unwrap();
    assert!(status.success(), "{}", engine.output());
    assert_promises_kept(&server.url(), &record_dir).await;

    let records = records(&record_dir);
    let lsn = records.iter().map(|record| record.lsn).max().unwrap();
    let tables = check::tables(&records).join(",");
    let path = format!("/v1/snapshot?tables={tables}&min_lsn={lsn}&wait_ms=20000");
    let snapshot = service.get(&path).unwrap();
    assert_eq!(snapshot.status, 200, "{}", snapshot.body);
    let report = check::against_snapshot(snapshot.body.as_bytes(), &records, Rule::Exclusive).unwrap();
    assert!(report.ok(), "{:#?}", report.findings);
    assert!(report.actors.values().all(|actor| actor.commits == 250), "{report:?}");
}
