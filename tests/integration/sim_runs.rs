//! Simulated engines on a real server: what they were acknowledged is there, however they or the server end.

use std::collections::BTreeMap;
use std::path::Path;

use pgtape::engines::Name;
use pgtape::engines::migrate::Action;
use pgtape::sandbox::Database;
use pgtape::sim::check::{self, Rule};
use pgtape::sim::record::{self, State};
use pgtape::sim::{self, Report, SimSettings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::engines::{address, migrate};

/// 2026-01-31 10:00 UTC.
const START_US: i64 = 1_769_853_600_000_000;

/// Faster than any server: the simulation is limited by the server, and simulated time does not matter.
const RATE: u32 = 10_000;

const MINE: [Name; 3] = [Name::Perplex, Name::Openmatch, Name::Meltica];

async fn database() -> Database {
    let database = crate::common::database();
    migrate(&database.url(), Action::Up, None).await;
    database
}

fn settings(url: &str, engines: &[Name], seed: u64, events: u64, record_dir: &Path) -> SimSettings {
    SimSettings {
        address: address(url),
        engines: engines.to_vec(),
        rate: RATE,
        seconds: 0,
        events_max: Some(events),
        seed,
        start_us: START_US,
        record_dir: record_dir.to_owned(),
        standby_url: None,
    }
}

async fn run(settings: SimSettings) -> Report {
    sim::run(settings, CancellationToken::new()).await.unwrap_or_else(|e| panic!("{}", e.into_refusal()))
}

fn records(dir: &TempDir) -> Vec<State> {
    record::read_all(dir.path()).unwrap()
}

async fn compare(url: &str, records: &[State]) -> check::Report {
    check::against_postgres(&address(url), records, Rule::Exclusive).await.unwrap()
}

/// Every row of every engine table as text, without what sequences and clocks of the server fill.
fn all_rows(database: &Database) -> BTreeMap<String, String> {
    let tables = database
        .psql(
            "SELECT schemaname || '.' || tablename FROM pg_tables
             WHERE schemaname IN ('perplex', 'openmatch', 'meltica') ORDER BY 1",
        )
        .unwrap();
    let serial = "ARRAY['seq']::text[]";
    let rows = |table: &str| {
        // Retries may leave holes in sequences: rows are compared without ids that come from one.
        let id = if table.starts_with("meltica.") { "- 'id' - 'provider_id' - 'aggregate_id'" } else { "" };
        database.psql(&format!("SELECT to_jsonb(t) - {serial} {id} FROM {table} t ORDER BY 1")).unwrap()
    };
    tables.lines().map(|table| (table.to_owned(), rows(table))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_row_is_in_postgres() {
    let (database, dir) = (database().await, TempDir::new().unwrap());
    let report = run(settings(&database.url(), &MINE, 7, 600, dir.path())).await;
    assert_eq!(report.actors.len(), MINE.len());
    assert!(report.actors.values().all(|actor| actor.events == 600), "{report:?}");
    let check = compare(&database.url(), &records(&dir)).await;
    assert!(check.ok(), "{:#?}", check.findings);
    // The simulation does what it is for: every table of the three has rows.
    let idle: Vec<_> = all_rows(&database).into_iter().filter(|(table, rows)| {
        rows.trim().is_empty() && !table.ends_with("pnl_daily")
    }).map(|(table, _)| table).collect();
    assert_eq!(idle, Vec::<String>::new());
}
