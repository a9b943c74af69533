//! Starts the actors, each on a thread of its own, and gathers what they did.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::actor::Actor;
use super::aether;
use super::drive::{Course, drive};
use super::meltica::Meltica;
use super::openmatch::Openmatch;
use super::perplex::Perplex;
use super::record::{self, Clock};
use super::worker::Worker;
use crate::engines::{self, Name, Options, Store};
use crate::pg::Address;
use crate::refusal::{Kind, Refusal};

/// An actor needs one connection, and a second while a lost one is being noticed.
const ACTOR_POOL_SIZE: usize = 2;

/// Events a second that an actor can be asked for.
pub const RATE_MAX: u32 = 100_000;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct SimSettings {
    /// The database the engines commit to.
    pub address: Address,
    /// Which engines.
    pub engines: Vec<Name>,
    /// Events a second, for each engine.
    pub rate: u32,
    /// How long; 0: until cancelled, or until `events_max`.
    pub seconds: u64,
    /// Each actor ends when it has so many acknowledged events, over all restarts.
    pub events_max: Option<u64>,
    /// Same seed, same start time, same rate: same rows.
    pub seed: u64,
    /// Simulated time of the first event, microseconds since 1970. A record that exists keeps its own.
    pub start_us: i64,
    /// Where the acknowledgement records are.
    pub record_dir: PathBuf,
    /// The service whose standby restarting engines read, like `http://127.0.0.1:7654`; without it they restart from
    /// their records.
    pub standby_url: Option<String>,
}

/// What one actor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ActorReport {
    /// Events acknowledged in this run.
    pub events: u64,
    /// Events acknowledged over all runs of the record.
    pub acknowledged: u64,
}

/// What a run did, by actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Report {
    /// Each actor's part.
    pub actors: BTreeMap<String, ActorReport>,
}

/// Why a simulation ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres refused an event: a bug of the simulation, or somebody else wrote its rows.
    #[error("{actor} cannot go on")]
    Write {
        /// The actor.
        actor: &'static str,
        /// Why.
        #[source]
        source: engines::Error,
    },
    /// The record cannot be kept.
    #[error("keep the acknowledgement record")]
    Record(#[source] record::Error),
    /// The standby does not show what was acknowledged.
    #[error("{actor}: the standby does not show what was acknowledged: {finding}")]
    Standby {
        /// The actor.
        actor: String,
        /// The first difference.
        finding: String,
    },
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<record::Error> for Error {
    fn from(error: record::Error) -> Self {
        match error {
            record::Error::Refused(refusal) => Error::Refused(refusal),
            io @ record::Error::Io { .. } => Error::Record(io),
        }
    }
}

impl Error {
    /// As a refusal, for the program that ends with it.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Error::Refused(refusal) => refusal,
            Error::Write { actor, source } => {
                let refusal = source.into_refusal();
                Refusal { what: format!("{actor} cannot go on: {}", refusal.what), ..refusal }
            }
            Error::Record(error) => {
                Refusal::new(Kind::Disk, error.to_string(), "free space, or choose another directory")
            }
            standby @ Error::Standby { .. } => Refusal::new(Kind::Finding, standby.to_string(), "run `pgtape verify`"),
        }
    }
}

/// Runs the engines until their time is over or `cancel`; survives restarts of Postgres. The first error ends all.
pub async fn run(settings: SimSettings, cancel: CancellationToken) -> Result<Report, Error> {
    if settings.rate == 0 || settings.rate > RATE_MAX {
        let what = format!("a rate of {} events a second", settings.rate);
        return Err(Refusal::new(Kind::Usage, what, format!("choose 1 to {RATE_MAX}")).into());
    }
    let mut company = Company { settings: &settings, cancel: cancel.child_token(), actors: JoinSet::new() };
    for name in &settings.engines {
        company.hire(*name);
    }
    company.work().await
}

/// The actors of a run.
struct Company<'a> {
    settings: &'a SimSettings,
    cancel: CancellationToken,
    actors: JoinSet<Result<(String, ActorReport), Error>>,
}

impl Company<'_> {
    /// Starts the actors of an engine.
    fn hire(&mut self, engine: Name) {
        let seed = self.settings.seed;
        match engine {
            Name::Perplex => self.start(Perplex::new(seed), 1),
            Name::Openmatch => self.start(Openmatch::new(seed), 1),
            Name::Aether => {
                self.start(aether::Engine::new(seed), 2);
                self.start(aether::Executor::new(seed), 2);
            }
            Name::Meltica => self.start(Meltica::new(seed), 1),
            Name::Worker => self.start(Worker::new(seed), 1),
        }
    }

    /// Starts one of the `share` actors among which the engine's rate is divided. It gets a thread and a runtime of its
    /// own, so that it may sync its record without holding up the others.
    fn start<A: Actor + 'static>(&mut self, actor: A, share: u32) {
        let settings = self.settings.clone();
        let cancel = self.cancel.clone();
        self.actors.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| Refusal::new(Kind::Server, format!("start a runtime: {e}"), ""))?;
            runtime.block_on(async {
                let name = actor.name().to_owned();
                let report = drive(actor, &course(settings, cancel, share)).await?;
                Ok((name, report))
            })
        });
    }

    async fn work(mut self) -> Result<Report, Error> {
        let mut report = Report::default();
        let mut failed = None;
        while let Some(ended) = self.actors.join_next().await {
            match ended.expect("an actor does not panic") {
                Ok((name, actor)) => {
                    report.actors.insert(name, actor);
                }
                Err(error) => {
                    self.cancel.cancel();
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(report), Err)
    }
}

fn course(settings: SimSettings, cancel: CancellationToken, share: u32) -> Course {
    let period = Duration::from_secs(1) * share / settings.rate;
    let tick_us = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
    let options = Options { pool_size: ACTOR_POOL_SIZE, jitter_seed: settings.seed, ..Options::default() };
    Course {
        store: Store::new(settings.address, options),
        seed: settings.seed,
        clock: Clock { start_us: settings.start_us, tick_us },
        period,
        until: (settings.seconds > 0).then(|| Instant::now() + Duration::from_secs(settings.seconds)),
        events_max: settings.events_max,
        record_dir: settings.record_dir,
        standby_url: settings.standby_url,
        cancel,
    }
}
