//! The end of the demo: every acknowledged write is in Postgres and in the standby, and verify finds nothing.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Handle;

use crate::model::{Lsn, Position};
use crate::pg::Address;
use crate::sandbox::Error;
use crate::sim::check::{self, Rule};
use crate::sim::record;

use super::cast::{Cast, READY_LIMIT, ask};
use super::screen::Screen;
use super::topics::{self, Topics};

/// The service may take this long to show the last commit.
const CATCH_UP_MS: u64 = 25_000;
/// A stop takes at most 5 s by the service's own rule.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// What was found.
pub(super) struct Proof {
    /// The engines' records against the rows in Postgres.
    pub(super) postgres: check::Report,
    /// The engines' records against the standby's snapshot.
    pub(super) standby: check::Report,
    /// `pgtape verify --json`.
    pub(super) verify: Value,
    /// `pgtape tape info --json`.
    pub(super) tape: Value,
    /// What a consumer found in the topics; `None` without Kafka.
    pub(super) topics: Option<Topics>,
}

/// Proves, with the service still running; stops it at the end, to read the whole tape.
pub(super) fn prove(cast: &mut Cast, runtime: &Handle, screen: &mut Screen) -> Result<Proof, Error> {
    cast.service.wait_ready(READY_LIMIT)?;
    let records = record::read_all(&cast.records)?;
    let position = cast.postgres.psql("SELECT pg_current_wal_insert_lsn()")?;
    let tables = check::tables(&records).join(",");
    screen.event("comparing every acknowledged write with the standby");
    let path = format!("/v1/snapshot?tables={tables}&min_lsn={position}&wait_ms={CATCH_UP_MS}");
    let snapshot = cast.service.get(&path)?;
    if snapshot.status != 200 {
        return Err(Error::Program { what: format!("GET {path} said {}", snapshot.status), output: snapshot.body });
    }
    let standby = check::against_snapshot(snapshot.body.as_bytes(), &records, Rule::Exclusive)?;
    screen.event("comparing every acknowledged write with Postgres");
    let address: Address = cast.postgres.url().parse()?;
    let postgres = runtime.block_on(check::against_postgres(&address, &records, Rule::Exclusive))?;
    screen.event("verify: standby and roll-ups against Postgres at one log position");
    let verify = ask(cast.service.service(), &["verify", "--json"])?;
    if cast.kafka.is_some() {
        wait_for_topics(cast, &position)?;
    }
    cast.service.terminate(STOP_LIMIT)?;
    let topics = match &cast.kafka {
        None => None,
        Some(kafka) => {
            screen.event("reading every topic with kcat, against the tape and Postgres");
            Some(topics::prove(cast, kafka)?)
        }
    };
    let tape = ask(cast.service.service(), &["tape", "info", "--json"])?;
    for finding in standby.findings.iter().chain(&postgres.findings) {
        screen.event(&format!("FOUND: {finding}"));
    }
    Ok(Proof { postgres, standby, verify, tape, topics })
}

/// Until everything up to `position` is committed in Kafka.
fn wait_for_topics(cast: &Cast, position: &str) -> Result<(), Error> {
    let (started, target) = (Instant::now(), position.parse::<Lsn>().unwrap_or_default());
    loop {
        let status = cast.service.get("/v1/status")?.json();
        let sinks = status["sinks"].as_array().cloned().unwrap_or_default();
        let kafka = sinks.iter().find(|sink| sink["sink"] == "kafka");
        let at: Option<Position> = kafka.and_then(|sink| sink["position"].as_str()?.parse().ok());
        if at.is_some_and(|at| at.lsn >= target) {
            return Ok(());
        }
        if started.elapsed() > Duration::from_millis(CATCH_UP_MS) {
            return Err(Error::Program { what: "the Kafka sink did not catch up".into(), output: status.to_string() });
        }
        sleep(Duration::from_millis(50));
    }
}
