//! The simulated aether and worker on a real server: stopped and started again, they leave exactly what was acknowledged.

use std::path::Path;

use pgtape::engines::Name;
use pgtape::engines::migrate::Action;
use pgtape::sandbox::Database;
use pgtape::sim::check::{self, Rule};
use pgtape::sim::{SimSettings, record, run};
use tokio_util::sync::CancellationToken;

use crate::common::engines::{address, engine_database, migrate, rows};

/// 2026-01-31 23:59:58: simulated midnight comes soon.
const START_US: i64 = 1_769_903_998_000_000;

fn settings(database: &Database, engine: Name, records: &Path, events: u64) -> SimSettings {
    SimSettings {
        address: address(&database.url()),
        engines: vec![engine],
        rate: 20_000,
        seconds: 0,
        events_max: Some(events),
        seed: 7,
        start_us: START_US,
        record_dir: records.to_owned(),
        standby_url: None,
    }
}

/// Runs to `events`, in as many starts as there are `stops`.
async fn play(database: &Database, engine: Name, records: &Path, stops: &[u64]) {
    for &events in stops {
        run(settings(database, engine, records, events), CancellationToken::new()).await.unwrap();
    }
}

async fn check(engine: Name, tables: &[&str]) -> Database {
    let (stopped, through) = (engine_database(engine.schema()).await, engine_database(engine.schema()).await);
    let records = tempfile::tempdir().unwrap();
    let (one, other) = (records.path().join("one"), records.path().join("other"));
    tokio::join!(play(&stopped, engine, &one, &[1, 150, 300]), play(&through, engine, &other, &[300]));

    let states = record::read_all(&one).unwrap();
    let report = check::against_postgres(&address(&stopped.url()), &states, Rule::Exclusive).await.unwrap();
    assert!(report.ok(), "{:?}", report.findings);
    assert!(report.actors.values().all(|actor| actor.commits == 300), "{report:?}");
    for table in tables {
        let filled_by_server =
            if *table == "worker.orders" || *table == "worker.audit_log" { "" } else { "created_at" };
        let left = rows(&stopped, table, &[filled_by_server]);
        assert!(!left.is_empty(), "{table} is empty");
        assert_eq!(left, rows(&through, table, &[filled_by_server]), "{table}: a restart changed what happens");
    }
    stopped
}

#[tokio::test]
async fn aether_races_and_goes_on_after_restarts() {
    let tables = ["aether.arbs", "aether.bundles", "aether.inclusion_results", "aether.pool_registry"];
    let database = check(Name::Aether, &tables).await;
    let count = |what: &str| database.psql(&format!("SELECT count(*) > 0 FROM {what}")).unwrap() == "t";
    assert!(count("aether.bundles WHERE arb_id NOT IN (SELECT arb_id FROM aether.arbs)"), "no bundle without its arb");
    assert!(count("aether.bundles WHERE is_shadow"), "no shadow");
    assert!(count("aether.bundles WHERE builders = 'null'"), "no null builders");
    assert!(count("aether.bundles WHERE builders = '[]'"), "no empty builders");
    let several = "(SELECT FROM aether.inclusion_results WHERE included GROUP BY bundle_id HAVING count(*) > 1) b";
    assert!(count(several), "no bundle that several builders report");
    assert!(count("aether.inclusion_results WHERE error LIKE '%reorganised'"), "no correction");
}

#[tokio::test]
async fn worker_goes_on_after_restarts() {
    let tables = [
        "worker.orders",
        "worker.fills",
        "worker.state_snapshots",
        "worker.audit_log",
        "worker.funding_snapshots",
        "worker.funding_payments",
    ];
    let database = check(Name::Worker, &tables).await;
    let statuses = database.psql("SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM worker.orders").unwrap();
    assert!(statuses.contains("CANCELLED FILLED") && statuses.contains("OPEN PARTIALLY_FILLED"), "{statuses}");
}

#[tokio::test]
async fn two_seeds_share_a_database() {
    let database = engine_database("worker").await;
    migrate(&database.url(), Action::Up, Some("aether")).await;
    let records = tempfile::tempdir().unwrap();
    let mut states = Vec::new();
    for seed in [1, 2] {
        let place = records.path().join(seed.to_string());
        for events in [40, 80] {
            let engines = vec![Name::Aether, Name::Worker];
            let settings = SimSettings { seed, engines, ..settings(&database, Name::Worker, &place, events) };
            run(settings, CancellationToken::new()).await.unwrap();
        }
        states.extend(record::read_all(&place).unwrap());
    }
    let report = check::against_postgres(&address(&database.url()), &states, Rule::Exclusive).await.unwrap();
    assert!(report.ok(), "{:?}", report.findings);
}
