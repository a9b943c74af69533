//! What every topic needs: a fresh database on the shared server, a server or a service of the test's own.
//!
//! `PGTAPE_TEST_PG=local|container|URL` says where the shared server comes from. Tests that stop, crash or slow down a
//! server start their own; so do tests that hold transactions open, because making a slot waits for every open
//! transaction of the whole server. `PGTAPE_TEST_BIN` names the folder of another version's programs for those servers.

pub mod failpoints;
pub mod load;

pub mod engines;
pub mod pipeline;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pgtape::sandbox::{Binaries, Database, Options, Place, PrivatePostgres, Service, ServiceProcess, Shared};
use serde_json::Value;
use tempfile::TempDir;

/// Started by the first test that asks; ends with the test process.
static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
    let place = Place::from_text(&std::env::var("PGTAPE_TEST_PG").unwrap_or_default());
    Arc::new(Shared::start(place).unwrap_or_else(|e| panic!("{e}")))
});

/// A fresh, empty database.
pub fn database() -> Database {
    SHARED.database().unwrap_or_else(|e| panic!("{e}"))
}

/// A server of the test's own, with these settings.
pub fn server(settings: &[(&str, &str)]) -> PrivatePostgres {
    let binaries = std::env::var_os("PGTAPE_TEST_BIN").map(Binaries::at);
    PrivatePostgres::start(Options { settings, binaries }).unwrap_or_else(|e| panic!("{e}"))
}

/// The same place for `role`, whose password is its name.
pub fn url_as(url: &str, role: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{role}:{role}@{}", rest.rsplit_once('@').unwrap().1)
}

/// Everything that happens now and then happens all the time.
const BUSY: &str = "[tape]\nsegment_bytes = \"1 MiB\"\nhistory = \"1 s\"\n[standby]\ncheckpoint_every = \"500 ms\"\n";

/// The real program following `tables` of a server of the test's own, its data in `directory`.
pub fn service(url: &str, directory: &TempDir, tables: &str) -> ServiceProcess {
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), url, &directory.path().join("data")).unwrap();
    ServiceProcess::start(service.tables(tables).config(BUSY).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

/// Runs `pgtape verify --json`; it must find nothing. Returns its report.
pub fn assert_verified(service: &ServiceProcess) -> Value {
    let finished = service.service().finish(&["verify", "--json"]).unwrap();
    let report = finished.json();
    let parts = ["tables", "rollups"].iter().flat_map(|part| report[part].as_array().into_iter().flatten());
    let unequal: Vec<String> = parts.filter(|part| part["equal"] != true).map(ToString::to_string).collect();
    let said = (unequal.join("\n"), &finished.stderr, service.log());
    assert_eq!((finished.code, &report["ok"]), (Some(0), &Value::Bool(true)), "{}\n{}\n{}", said.0, said.1, said.2);
    report
}

/// All rows of a table in the standby, once it has seen every commit up to `lsn`.
pub fn rows_of(service: &ServiceProcess, table: &str, lsn: &str) -> Vec<Value> {
    let name = table.replace('\\', "\\\\").replace(',', "\\,");
    let name = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    let reply = service.get(&format!("/v1/snapshot?tables={name}&min_lsn={lsn}&wait_ms=20000")).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let lines = reply.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["table"] == table).map(|mut line| line["row"].take()).collect()
}

/// `PGTAPE_CRASH_SEED`, or a random one; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("PGTAPE_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("repeat with PGTAPE_CRASH_SEED={seed}");
    seed
}

/// `PGTAPE_CRASH_MINUTES`: how long each crash test goes on; `None`: the short form.
pub fn crash_time() -> Option<Duration> {
    let minutes: u64 = std::env::var("PGTAPE_CRASH_MINUTES").ok()?.parse().ok()?;
    Some(Duration::from_secs(60 * minutes))
}
