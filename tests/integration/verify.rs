//! Verify finds what is wrong, with the service running and without one.

use std::time::Duration;

use pgtape::sandbox::{PrivatePostgres, Service, ServiceProcess};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{assert_verified, server};

const READY: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// The five engines' schemas, a bundle in each of two days, and the service on top.
fn scene(directory: &TempDir) -> (PrivatePostgres, ServiceProcess) {
    let server = server(&[]);
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &directory.path().join("data")).unwrap();
    let migrated = service.finish(&["migrate", "up"]).unwrap();
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    server
        .psql(
            "INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, builders)
             SELECT gen_random_uuid(), gen_random_uuid(), timestamptz '2026-01-01 12:00+00' + n * interval '1 day', n, '', '[]'
             FROM generate_series(0, 1) n",
        )
        .unwrap();
    let mut service = ServiceProcess::start(service).unwrap();
    service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
    (server, service)
}

/// What `verify` says of the part that is called `name`; everything else must be equal.
fn finding(service: &ServiceProcess, part: &str, key: &str, name: &str) -> Value {
    let finished = service.service().finish(&["verify", "--json"]).unwrap();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let report = finished.json();
    assert_eq!(report["ok"], false);
    let all = ["tables", "rollups"].iter().flat_map(|part| report[part].as_array().unwrap());
    let unequal: Vec<&Value> = all.filter(|found| found["equal"] == false).collect();
    assert_eq!(unequal.len(), 1, "{unequal:?}");
    report[part].as_array().unwrap().iter().find(|found| found[key] == name).unwrap().clone()
}

#[test]
fn a_wrong_value_in_the_standby_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let (server, service) = scene(&directory);
    assert_verified(&service);
    server.psql("INSERT INTO aether.pool_registry (address, protocol, token0, token1, source) VALUES ('\\x01', 'a', '', '', 's')").unwrap();
    assert_verified(&service);
    // Rewritten in a way that no message tells: from here on the standby's value is wrong.
    server.psql("ALTER TABLE aether.pool_registry ALTER protocol TYPE text USING 'b'").unwrap();
    let found = finding(&service, "tables", "table", "aether.pool_registry");
    assert_eq!((&found["rows_postgres"], &found["rows_standby"]), (&json!(1), &json!(1)));
    assert_ne!(found["digest_postgres"], found["digest_standby"]);
    let difference = json!([{"key": {"address": "\\x01"}, "only_in": "both", "columns": ["protocol"]}]);
    assert_eq!(found["differences"], difference);
}

#[test]
fn a_wrong_cell_of_a_roll_up_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let (server, mut service) = scene(&directory);
    assert_verified(&service);
    server.psql("UPDATE aether.pnl_daily SET bundle_count = bundle_count + 1 WHERE day = '2026-01-02'").unwrap();
    let difference = json!([{"key": {"day": "2026-01-02"}, "only_in": "both", "columns": ["bundle_count"]}]);
    assert_eq!(finding(&service, "rollups", "rollup", "aether.pnl_daily")["differences"], difference);
    // The same without a service: the data directory is brought up to date, compared, and left.
    service.terminate(STOP).unwrap();
    server.psql("DELETE FROM aether.bundles WHERE submitted_at < '2026-01-02'").unwrap();
    assert_eq!(finding(&service, "rollups", "rollup", "aether.pnl_daily")["differences"], difference);
    server.psql("UPDATE aether.pnl_daily SET bundle_count = 1 WHERE day = '2026-01-02'").unwrap();
    let report = assert_verified(&service);
    let rollup = report["rollups"].as_array().unwrap().iter().find(|r| r["rollup"] == "aether.pnl_daily").unwrap();
    assert_eq!(rollup["groups"], 1);
}

#[test]
fn verify_without_a_service_changes_no_publication() {
    let directory = tempfile::tempdir().unwrap();
    let (server, mut service) = scene(&directory);
    service.terminate(STOP).unwrap();
    let published = "SELECT string_agg(prrelid::regclass::text, ' ' ORDER BY 1) FROM pg_publication_rel";
    let before = server.psql(published).unwrap();
    let fewer = service.service().clone().tables("aether.*").finish(&["verify"]).unwrap();
    assert_eq!(fewer.code, Some(2), "{fewer:?}");
    assert!(fewer.stderr.contains("--tables"), "{}", fewer.stderr);
    assert_eq!(server.psql(published).unwrap(), before);
    assert_verified(&service);
}

#[test]
fn a_dropped_table_is_named_and_the_rest_is_compared() {
    let directory = tempfile::tempdir().unwrap();
    let (server, service) = scene(&directory);
    // Whether verify or pgtape's own look at the catalog comes first is chance: a table that was seen to be gone is no
    // longer compared.
    let named = ["worker.audit_log", "worker.state_snapshots", "aether.pool_registry"].into_iter().any(|table| {
        server.psql(&format!("DROP TABLE {table}")).unwrap();
        let finished = service.service().finish(&["verify", "--json"]).unwrap();
        let report = finished.json();
        let tables = report["tables"].as_array().unwrap_or_else(|| panic!("{finished:?}"));
        assert!(tables.len() > 10, "the rest is compared: {report}");
        let unequal: Vec<&Value> = tables.iter().filter(|found| found["equal"] == false).collect();
        let Some(found) = unequal.first() else { return false };
        assert_eq!((finished.code, &report["ok"], unequal.len()), (Some(1), &json!(false), 1), "{report}");
        assert_eq!(found["table"], table);
        assert!(found["note"].as_str().unwrap().contains("gone from Postgres"), "{found}");
        true
    });
    assert!(named);
}
