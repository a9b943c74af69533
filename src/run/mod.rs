//! The composition root: builds the parts, supervises them, drains them.
//!
//! ```text
//!  data directory, HTTP address ─▶ ingest (source + tape's writer) ─▶ sinks ─▶ retention, HTTP
//!  until a signal or the first part that ends; then: source (durable, confirmed) ─▶ sinks (checkpoint) ─▶ HTTP
//! ```
//!
//! Invariants: what a person must mend is refused before the first byte is streamed; a stop takes no longer than
//! configured, even when Postgres hangs. Everything that lives longer than one call is started here.

mod assemble;
mod data_dir;
mod ingest;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(not(feature = "kafka"))]
#[path = "without_kafka.rs"]
mod kafka;
mod largest;
mod nudge;
mod orders;
mod retention;
mod say;
mod settings;
mod signals;
mod status;
mod verification;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::config::{Config, SinkName};
use crate::metrics::Metrics;
use crate::ops::outbox::Outboxes;
use crate::refusal::{Kind, Refusal};
use crate::sinks::cursor::Identity;
use crate::sinks::rollup::{Replaced, RollUp};
use crate::sinks::{self, Handles};
use crate::tape::{self, Pins};
use crate::verify;

use assemble::Assembler;
use ingest::{Aim, Ingest};
use retention::{Findings, Retention};
use status::Scene;

pub use kafka::{obey as kafka_obey, probe as kafka_probe, replay as kafka_replay, show as kafka_show};
pub use say::Stopped;
pub use settings::definitions;

/// Runs the service until a signal, or until a part of it cannot go on. Returns what it leaves behind.
pub async fn run(config: Config, version: &str) -> Result<Stopped, Refusal> {
    let stop = signals::stop_on_signal()?;
    data_dir::make(&config.data_dir)?;
    // Before the address, which the other service has too: what is in the way is the data directory.
    tape::refuse_if_locked(&config.tape.dir).map_err(tape::Error::into_refusal)?;
    let bound = api::bind(config.http.listen, &config.data_dir).await?;
    let service = Service::start(config, version, &stop, Aim::Service).await?;
    bound.note()?;
    let address = bound.address;
    let http = api_service(&service, &stop);
    let router = api::router(http, settings::limits(&service.config.http));
    let serving = CancellationToken::new();
    let server = tokio::spawn(bound.serve(router, serving.clone()));
    let saying = tokio::spawn(say::when_ready(service.scene.clone(), address));
    service.until(&stop).await;
    saying.abort();
    let scene = Arc::clone(&service.scene);
    let drained = service.drain().await;
    serving.cancel();
    server.abort();
    let stopped = Stopped::of(&scene);
    stopped.say();
    drained.map(|()| stopped)
}

/// Starts everything but HTTP, verifies once the sinks have seen what is committed now, and ends again: for a data
/// directory that no service uses.
pub async fn verify_once(config: Config, version: &str) -> Result<verify::Report, Refusal> {
    alone(config, version, async |service| service.verifier().await?.run().await).await
}

/// As [`verify_once`], and makes a roll-up anew by its definition.
pub async fn rebuild_once(config: Config, version: &str, rollup: &dyn RollUp) -> Result<Replaced, Refusal> {
    alone(config, version, async |service| {
        service.verifier().await?.rebuild(rollup, (&service.scene.tape.origin).into()).await
    })
    .await
}

/// Starts everything but HTTP, does `work`, and ends again.
async fn alone<T>(
    config: Config,
    version: &str,
    work: impl AsyncFnOnce(&Service) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let stop = signals::stop_on_signal()?;
    data_dir::make(&config.data_dir)?;
    let service = Service::start(config, version, &stop, Aim::OneTask).await?;
    let result = tokio::select! {
        result = work(&service) => result,
        () = service.until(&stop) => Err(Refusal::new(Kind::NotConfirmed, "stopped before the work was done", "")),
    };
    service.drain().await?;
    result
}

/// A part that runs until it is told to stop, or until it cannot go on.
struct Part {
    task: JoinHandle<Result<(), Refusal>>,
    /// Cancelled when the part has ended, in whatever way.
    over: CancellationToken,
}

impl Part {
    fn spawn(work: impl Future<Output = Result<(), Refusal>> + Send + 'static) -> Self {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _guard = guard;
            work.await
        });
        Self { task, over }
    }

    /// Its result, once it has ended.
    async fn join(self) -> Result<(), Refusal> {
        self.task.await.unwrap_or_else(|panic| {
            Err(Refusal::new(Kind::Tape, format!("a part ended in a panic: {panic}"), "look at the log; start again"))
        })
    }
}

/// The running parts.
struct Service {
    config: Arc<Config>,
    scene: Arc<Scene>,
    verifier: Option<verify::Verifier>,
    /// Ends the ingest: it syncs, confirms, and is gone.
    stop_ingest: CancellationToken,
    ingest: Part,
    /// Ends the delivery: it commits what it has, and writes a checkpoint.
    stop_sinks: CancellationToken,
    delivery: Part,
    /// The Kafka sinks; they end with the delivery.
    kafka: Part,
    /// Ends the helpers: retention, nudges.
    stop_rest: CancellationToken,
}

impl Service {
    async fn start(config: Config, version: &str, stop: &CancellationToken, aim: Aim) -> Result<Self, Refusal> {
        let config = Arc::new(config);
        let metrics = Metrics::default();
        if aim == Aim::Service {
            kafka::refuse_tables(&config, version).await?;
        }
        let opened = tokio::select! {
            opened = Ingest::open(&config, metrics.clone(), aim) => opened?,
            () = stop.cancelled() => return Err(Refusal::new(Kind::NotConfirmed, "stopped before it began", "")),
        };
        let (stop_sinks, pins) = (CancellationToken::new(), Pins::new());
        let (sinks, delivery) = deliver(&config, &opened, &pins, &stop_sinks)?;
        let verifier = sinks.as_ref().map(|sinks| settings::verifier(&config, sinks)).transpose()?;
        let standby = sinks.as_ref().map(|sinks| &sinks.standby).filter(|_| aim == Aim::Service);
        let (topics, kafka) = kafka::start(&config, version, aim, &opened, standby, &pins, &stop_sinks)?;
        let findings = Findings::default();
        let scene = Arc::new(Scene {
            metrics,
            source: opened.status.clone(),
            tape: opened.tape.clone(),
            disk: opened.disk.clone(),
            sinks,
            kafka: topics,
            retention: findings.clone(),
            assembler: Assembler::new(status::fixed(&config, version)),
            config: Arc::clone(&config),
        });
        let (stop_ingest, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let (tape, watermark) = (config.tape.clone(), opened.tape.watermark.clone());
        tokio::spawn(Retention { tape, watermark, pins, findings }.keep(stop_rest.clone()));
        let ingest = Part::spawn(opened.run(stop_ingest.clone()));
        Ok(Self { config, scene, verifier, stop_ingest, ingest, stop_sinks, delivery, kafka, stop_rest })
    }

    /// Until a signal, or until a part ends by itself; `drain` says why.
    async fn until(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.ingest.over.cancelled() => {}
            () = self.delivery.over.cancelled() => {}
            () = self.kafka.over.cancelled() => {}
        }
    }

    /// The oracle, once the sinks have seen what was committed when the service started.
    async fn verifier(&self) -> Result<&verify::Verifier, Refusal> {
        let verifier = self.verifier.as_ref().ok_or_else(verification::no_standby)?;
        self.scene.ready().await;
        Ok(verifier)
    }

    /// Source first, so that the sinks end with everything that is durable; all within the configured time. `Err`: why
    /// a part ended by itself.
    async fn drain(self) -> Result<(), Refusal> {
        let limit = self.config.drain;
        let work = async {
            self.stop_ingest.cancel();
            let ingested = self.ingest.join().await;
            self.stop_sinks.cancel();
            let (delivered, produced) = (self.delivery.join().await, self.kafka.join().await);
            ingested.and(delivered).and(produced)
        };
        let result = tokio::time::timeout(limit, work).await;
        self.stop_rest.cancel();
        result.unwrap_or_else(|_| {
            tracing::warn!(?limit, "the stop took too long and was cut short; nothing is lost: the next start resumes");
            Ok(())
        })
    }
}

/// Starts the delivery to the sinks; without sinks there is a task that only waits for the stop.
fn deliver(
    config: &Config,
    opened: &Ingest,
    pins: &Pins,
    stop: &CancellationToken,
) -> Result<(Option<Handles>, Part), Refusal> {
    let stop = stop.clone();
    if !config.has_sink(SinkName::Standby) {
        let idle = async move {
            stop.cancelled().await;
            Ok(())
        };
        return Ok((None, Part::spawn(idle)));
    }
    let settings = settings::sinks(config)?;
    let identity: Identity = (&opened.tape.origin).into();
    let started = sinks::start(settings, opened.tape.watermark.clone(), identity, pins.clone(), stop);
    let (handles, end) = started.map_err(sinks::Error::into_refusal)?;
    let delivery = async move {
        match end.await {
            Ok(result) => result.map_err(sinks::Error::into_refusal),
            Err(_) => Err(Refusal::new(Kind::Tape, "the delivery ended in a panic", "look at the log; start again")),
        }
    };
    Ok((Some(handles), Part::spawn(delivery)))
}

fn api_service(service: &Service, stop: &CancellationToken) -> api::Service {
    let (for_status, for_metrics) = (Arc::clone(&service.scene), service.scene.metrics.clone());
    api::Service {
        status: Arc::new(move || for_status.status()),
        metrics: Arc::new(move |status| for_metrics.text(status)),
        standby: service.scene.sinks.as_ref().map(|sinks| sinks.standby.clone()),
        nudge: nudge::start(Arc::clone(&service.scene), service.stop_rest.clone()),
        verify: verification::handle(service.verifier.clone(), service.scene.metrics.clone()),
        kafka: orders::handle(service.scene.kafka.clone()),
        outboxes: Some(Arc::new(outboxes(service))),
        stop: stop.clone(),
    }
}

/// The outboxes that sinks of this service relay.
fn outboxes(service: &Service) -> Outboxes {
    let running = &service.scene.kafka;
    Outboxes::of(&service.config, |name| running.iter().find(|sink| sink.name() == name)?.outbox().cloned())
}
