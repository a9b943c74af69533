//! The real program, killed with SIGKILL again and again while five engines commit; after each recovery `verify` finds
//! nothing, and at the end every acknowledged write is in Postgres and in the standby.
//!
//! The short form runs with the other tests; the long form is `make crash SEED= MINUTES=`.

mod connection;
mod disk_full;
mod points;
mod random;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use pgtape::sandbox::{PrivatePostgres, Process, Service, ServiceProcess};
use pgtape::sim::{check, record};
use tempfile::TempDir;

use crate::common::{assert_verified, server};

/// A recovery of so little takes far less.
const READY: Duration = Duration::from_secs(90);
/// Engines and service end within seconds when they are told to.
const STOP: Duration = Duration::from_secs(30);
/// Events a second of each engine: enough to be in the middle of something at any moment, also in a debug build.
const RATE: &str = "20";
/// Longer than any test.
const SECONDS: &str = "86400";

/// A captured table that no engine writes: larger than a block of a checkpoint, than a batch of a copy, and, when all of
/// it is written anew, than a segment. Its rows are too short to be stored out of line, and hardly compressible.
const BALLAST: &str = "CREATE TABLE perplex.ballast (id int PRIMARY KEY, noise text);
    INSERT INTO perplex.ballast SELECT id, '' FROM generate_series(1, 2048) AS id";
/// Writes all of it anew.
const CHURN: &str = "UPDATE perplex.ballast
    SET noise = (SELECT string_agg(md5(n::text || id || random()), '') FROM generate_series(1, 40) AS n)";

/// The demo's configuration with everything that happens now and then happening all the time.
fn config() -> String {
    let text = include_str!("../../../config/demo.toml");
    let rare =
        [("segment_bytes = \"8 MiB\"", "segment_bytes = \"1 MiB\""), ("history = \"10 min\"", "history = \"1 s\"")];
    let rare = rare.into_iter().chain([("checkpoint_every = \"5 s\"", "checkpoint_every = \"500 ms\"")]);
    rare.fold(text.to_owned(), |text, (usual, often)| {
        assert!(text.contains(usual), "config/demo.toml has no {usual}");
        text.replace(usual, often)
    })
}

/// A server with the five schemas, the service, and the engines at work.
struct Stage {
    engines: Process,
    service: ServiceProcess,
    server: PrivatePostgres,
    records: PathBuf,
    _directory: TempDir,
}

impl Stage {
    /// Starts everything; `through` may lead the service's connections elsewhere (a proxy).
    fn open(seed: u64, through: impl FnOnce(&PrivatePostgres) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = server(&[]);
        let engines =
            Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &directory.path().join("data")).unwrap();
        let migrated = engines.finish(&["migrate", "up"]).unwrap();
        assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
        server.psql(BALLAST).unwrap();
        server.psql(CHURN).unwrap();
        let service = Service { url: through(&server), ..engines.clone() }.config(&config()).unwrap();
        let mut service = ServiceProcess::start(service).unwrap();
        service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
        let records = directory.path().join("records");
        let (seed, records_arg) = (seed.to_string(), records.display().to_string());
        let words = ["simulate", "--rate", RATE, "--seconds", SECONDS, "--seed", &seed, "--record-dir", &records_arg];
        let log = directory.path().join("engines.log");
        let engines = Process::start("pgtape simulate", engines.command(&words), &log).unwrap();
        Self { engines, service, server, records, _directory: directory }
    }

    /// Starts the service, which was killed, and compares once it is ready.
    fn recover(&mut self) {
        self.service.start_again().unwrap();
        self.service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
        self.verify();
    }

    /// Standby and roll-ups equal Postgres at one position.
    fn verify(&mut self) {
        assert_verified(&self.service);
        if let Some(status) = self.engines.ended().unwrap() {
            panic!("{}", self.engines.failure(&format!("ended with {status}")));
        }
    }

    /// Stops the engines, and holds everything against what they were promised.
    fn close(mut self) {
        let ended = self.engines.terminate(STOP).unwrap();
        assert!(ended.is_some_and(|status| status.success()), "{}", self.engines.failure("did not end well"));
        assert_verified(&self.service);
        let records = record::read_all(&self.records).unwrap();
        assert!(!records.is_empty());
        let address = self.server.url().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rule = check::Rule::Exclusive;
        let postgres = runtime.block_on(check::against_postgres(&address, &records, rule)).unwrap();
        assert!(postgres.ok(), "in Postgres: {:?}", postgres.findings);
        let lsn = self.server.psql("SELECT pg_current_wal_insert_lsn()").unwrap();
        let tables = check::tables(&records).join(",");
        let path = format!("/v1/snapshot?tables={tables}&min_lsn={lsn}&wait_ms=25000");
        let snapshot = self.service.get(&path).unwrap();
        assert_eq!(snapshot.status, 200, "{}", snapshot.body);
        let standby = check::against_snapshot(snapshot.body.as_bytes(), &records, rule).unwrap();
        assert!(standby.ok(), "in the standby: {:?}", standby.findings);
    }
}
