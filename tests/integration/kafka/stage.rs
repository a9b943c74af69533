//! The real program between a Postgres under load and a broker, and the proof that nothing is missing or twice.

use std::time::{Duration, Instant};

use pgtape::model::{Lsn, Position};
use pgtape::sandbox::{KafkaTools, PrivatePostgres, Service, ServiceProcess};
use serde_json::Value;
use tempfile::TempDir;

use super::journal::{self, TABLES};
use crate::common::load::Load;
use crate::common::server;

/// A start takes far less.
const READY: Duration = Duration::from_secs(90);
/// After a fault the sink tries again within ten seconds; a coordinator that was lost takes as long.
const SETTLED: Duration = Duration::from_secs(120);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);
/// Two meet at the same rows; more would only make more to read back.
const WRITERS: u64 = 2;

/// Everything that happens now and then happens all the time; transactions are as small as they get, and forgotten ones end soon.
const OFTEN: &str = "[tape]\nsegment_bytes = \"1 MiB\"\nhistory = \"1 s\"\n[standby]\ncheckpoint_every = \"500 ms\"\n";

/// Names the source in topics.
pub const PREFIX: &str = "proof";

/// The configuration of a sink; `more` are lines of `[[kafka]]`, then tables of it.
pub fn config(bootstrap: &str, more: &str) -> String {
    format!(
        "{OFTEN}[[kafka]]\nbrokers = \"{bootstrap}\"\ntopic_prefix = \"{PREFIX}\"\ninitial = \"earliest\"\n\
         transaction_records = 200\ntransaction_age = \"100 ms\"\ntransaction_timeout = \"10 s\"\n{more}\n\
         [kafka.topics]\npartitions = 3\n"
    )
}

/// Postgres, the service, and writers.
pub struct Stage {
    /// The program.
    pub service: ServiceProcess,
    /// What it follows.
    pub server: PrivatePostgres,
    load: Option<Load>,
    seed: u64,
    markers: u64,
    directory: TempDir,
}

impl Stage {
    /// Starts everything but the load.
    pub fn open(seed: u64, config: &str) -> Self {
        let (directory, server) = (tempfile::tempdir().unwrap(), server(&[]));
        journal::create(&server);
        let service = service(&server, &directory, "data", config);
        let service = ServiceProcess::start(service).unwrap();
        let mut stage = Self { service, server, load: None, seed, markers: 0, directory };
        stage.wait_ready();
        stage
    }

    /// Another service, on the same Postgres, that is not started.
    pub fn another(&self, name: &str, config: &str) -> Service {
        service(&self.server, &self.directory, name, config)
    }

    /// Where the service keeps its own.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// Waits until the service is ready.
    pub fn wait_ready(&mut self) {
        self.service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Starts the writers, if none write.
    pub fn load(&mut self) {
        if self.load.is_some() {
            return;
        }
        self.seed += 1;
        self.load = Some(Load::start(&self.server.url(), self.seed, WRITERS, journal::next));
    }

    /// Stops the writers, and waits until all that they committed is in Kafka.
    pub fn settle(&mut self) {
        if let Some(load) = self.load.take() {
            assert!(load.finish() > 0);
        }
        self.wait_produced();
    }

    /// Waits until what is committed now is in Kafka.
    pub fn wait_produced(&mut self) {
        let before: Lsn = self.server.psql("SELECT pg_current_wal_insert_lsn()").unwrap().trim().parse().unwrap();
        self.markers += 1;
        let marker = format!("INSERT INTO shop.orders VALUES (-{0}, {0}, 'marker')", self.markers);
        self.server.psql(&marker).unwrap();
        self.wait_until("everything is in Kafka", |stage| stage.committed() > Some(Position::whole(before)));
    }

    /// Waits for something that must come, and says how long it took.
    pub fn wait_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            if let Some(status) = self.service.process().ended().unwrap() {
                panic!("{}", self.service.process().failure(&format!("ended with {status}")));
            }
            if started.elapsed() > SETTLED {
                let said = self.status().to_string();
                panic!("{}", self.service.process().failure(&format!("not after {SETTLED:?}: {what}; {said}")));
            }
            std::thread::sleep(POLL);
        }
        println!("{what} after {} ms", started.elapsed().as_millis());
    }

    /// What the service says of itself; null when it does not answer.
    pub fn status(&self) -> Value {
        self.service.get("/v1/status").map(|reply| reply.json()).unwrap_or_default()
    }

    /// How far the sink has come.
    pub fn committed(&self) -> Option<Position> {
        self.status()["kafka"][0]["committed"].as_str()?.parse().ok()
    }

    /// What the sink complains about.
    pub fn trouble(&self) -> String {
        let status = self.status();
        let sinks = status["sinks"].as_array().cloned().unwrap_or_default();
        let kafka = sinks.iter().find(|sink| sink["sink"].as_str().is_some_and(|name| name.contains("kafka")));
        kafka.map_or(String::new(), |sink| sink["last_error"].as_str().unwrap_or_default().to_owned())
    }

    /// Holds the topics, as kcat reads them, against the journal.
    pub fn check(&self, tools: &KafkaTools) {
        let read = |table: &&str| tools.read(&topic(table)).unwrap_or_else(|e| panic!("{e}"));
        journal::check(&self.server, &TABLES.iter().map(read).collect::<Vec<_>>());
    }

    /// The same, as Kafka's own consumer reads them.
    pub fn check_with_java(&self, tools: &KafkaTools) {
        let read = |table: &&str| tools.read_with_java(&topic(table)).unwrap_or_else(|e| panic!("{e}"));
        journal::check(&self.server, &TABLES.iter().map(read).collect::<Vec<_>>());
    }
}

/// The topic of a table.
pub fn topic(table: &str) -> String {
    format!("{PREFIX}.{table}")
}

fn service(server: &PrivatePostgres, directory: &TempDir, name: &str, config: &str) -> Service {
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &directory.path().join(name)).unwrap();
    service.tables("shop.*").config(config).unwrap()
}
