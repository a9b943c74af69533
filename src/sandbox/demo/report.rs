//! The demo's result: what `--json` prints and what people read.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::engines::Name;
use crate::sim::check;

use super::proof::Proof;
use super::strikes::Strikes;
use super::topics::Topics;

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Nothing was lost or counted twice.
    pub ok: bool,
    /// By engine.
    pub engines: BTreeMap<String, Engine>,
    /// The whole tape.
    pub tape: Tape,
    /// What was killed, how often.
    pub kills: Kills,
    /// `verify --json`.
    pub verify: Value,
    /// What a consumer found in the topics; left out without Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Topics>,
}

/// An engine's part.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Engine {
    /// Commits that Postgres acknowledged to it.
    pub commits: u64,
    /// Rows acknowledged and not so in Postgres or in the standby.
    pub acknowledged_missing: u64,
}

/// What is on the tape.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Tape {
    /// Transactions.
    pub transactions: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What was killed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Kills {
    /// The service, by SIGKILL.
    pub service: u32,
    /// An engine, by SIGKILL.
    pub engine: u32,
    /// Postgres, by an immediate stop.
    pub postgres: u32,
}

impl Report {
    pub(super) fn new(proof: &Proof, strikes: &Strikes) -> Self {
        let number = |name: &str| proof.tape[name].as_u64().unwrap_or_default();
        Self {
            ok: proof.postgres.ok()
                && proof.standby.ok()
                && proof.verify["ok"] == Value::Bool(true)
                && proof.topics.is_none_or(|topics| topics.ok()),
            engines: engines(&proof.postgres, &proof.standby),
            tape: Tape { transactions: number("transactions"), bytes: number("bytes") },
            kills: Kills { service: strikes.service, engine: strikes.engine, postgres: strikes.postgres },
            verify: proof.verify.clone(),
            kafka: proof.topics,
        }
    }
}

/// Actors are called by their engine's name, or `engine-part`.
fn engines(postgres: &check::Report, standby: &check::Report) -> BTreeMap<String, Engine> {
    let mut engines: BTreeMap<String, Engine> =
        Name::ALL.iter().map(|name| (name.schema().to_owned(), Engine::default())).collect();
    for (report, is_first) in [(postgres, true), (standby, false)] {
        for (actor, check) in &report.actors {
            let name = actor.split('-').next().unwrap_or(actor);
            let engine = engines.entry(name.to_owned()).or_default();
            engine.acknowledged_missing += check.acknowledged_missing;
            if is_first {
                engine.commits += check.commits;
            }
        }
    }
    engines
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, engine) in &self.engines {
            writeln!(
                f,
                "{name:<10} {:>8} commits, {} acknowledged missing",
                engine.commits, engine.acknowledged_missing
            )?;
        }
        let Kills { service, engine, postgres } = self.kills;
        writeln!(f, "killed: service {service}x, engine {engine}x, Postgres {postgres}x")?;
        writeln!(f, "tape: {} transactions, {} bytes", self.tape.transactions, self.tape.bytes)?;
        let verify = if self.verify["ok"] == Value::Bool(true) { "equal" } else { "DIFFERENT" };
        writeln!(f, "verify at {}: {verify}", self.verify["lsn"].as_str().unwrap_or("?"))?;
        if let Some(Topics { records, duplicates, missing, keys_equal }) = self.kafka {
            let keys = if keys_equal { "equal" } else { "DIFFERENT" };
            writeln!(f, "topics: {records} records, {duplicates} twice, {missing} missing, keys {keys}")?;
        }
        f.write_str(if self.ok { "nothing was lost, nothing was counted twice" } else { "FAILED: see above" })
    }
}
