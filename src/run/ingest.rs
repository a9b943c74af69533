//! Source and tape's writer together: opened, run, and after a full disk opened again once there is space.
//!
//! Invariant: a writer that failed is never used again. After ENOSPC a new one goes through the whole recovery; after any
//! other failure the service ends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::largest::largest;
use super::settings;
use crate::config::{Config, SinkName};
use crate::metrics::Metrics;
use crate::refusal::{Kind, Refusal};
use crate::source::{self, Plan, Prepared, Source, StatusHandle};
use crate::tape::{self, Origin, Proof, Recovered, Watermark, Writer};

/// How often a full disk is looked at.
const SPACE_POLL: Duration = Duration::from_secs(1);
/// A new writer is opened once so much is free: a segment's worth of work, not a page.
const SPACE_MIN_BYTES: u64 = 32 << 20;
/// A server that is away while the tape is opened again is asked this often.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the disk has space for the tape.
#[derive(Debug, Clone, Default)]
pub(super) struct DiskState(Arc<AtomicBool>);

impl DiskState {
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_full(&self, full: bool) {
        self.0.store(full, Ordering::Relaxed);
    }
}

/// What everybody may know of the tape.
#[derive(Debug, Clone)]
pub(super) struct TapeFacts {
    pub origin: Origin,
    pub watermark: Watermark,
}

/// What everything is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// To serve: the tables asked for are what is captured from now on.
    Service,
    /// To do one thing with what is captured: that stays as it is.
    OneTask,
}

/// A source that is ready to run.
pub(super) struct Ingest {
    config: Arc<Config>,
    metrics: Metrics,
    pub status: StatusHandle,
    pub disk: DiskState,
    pub tape: TapeFacts,
    next: Ready,
}

/// One life of the source.
struct Ready {
    prepared: Prepared,
    plan: Plan,
    writer: Writer,
    recovered: Recovered,
}

impl Ingest {
    /// Asks the server, opens the tape, compares the two; refuses what a person must mend.
    pub async fn open(config: &Arc<Config>, metrics: Metrics, aim: Aim) -> Result<Self, Refusal> {
        let next = open(config, None, aim).await?;
        let tape = TapeFacts { origin: next.prepared.origin(), watermark: next.writer.watermark() };
        let (config, status, disk) = (Arc::clone(config), StatusHandle::default(), DiskState::default());
        Ok(Self { config, metrics, status, disk, tape, next })
    }

    /// Runs until `cancel`, or until an error that only a person can mend.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), Refusal> {
        let mut next = self.next;
        loop {
            let Ready { prepared, plan, writer, recovered } = next;
            let metrics = self.metrics.clone();
            let on_sync = Arc::new(move |took| metrics.fsync(took));
            let source = Source { prepared, plan, writer, recovered, status: self.status.clone(), on_sync };
            match source.run(&self.config.tape.dir, cancel.clone()).await {
                Ok(()) => return Ok(()),
                Err(source::Error::Tape(error)) if error.is_full() => {
                    tracing::error!(%error, "the disk is full: nothing is confirmed and nothing is lost; waiting for space");
                }
                Err(error) => return Err(error.into_refusal()),
            }
            self.disk.set_full(true);
            let wait = wait_and_open(&self.config, &self.tape.watermark);
            match cancel.run_until_cancelled(wait).await {
                None => return Ok(()),
                Some(opened) => next = opened?,
            }
            self.disk.set_full(false);
            tracing::info!("there is space again: the tape is recovered, the stream goes on");
        }
    }
}

/// In this order: look, lock, compare, and only then change anything on the server.
async fn open(config: &Config, watermark: Option<Watermark>, aim: Aim) -> Result<Ready, Refusal> {
    let prepared = source::prepare(&settings::source(config)?).await.map_err(source::Error::into_refusal)?;
    let options = settings::tape(&config.tape, watermark);
    let proof = Proof { confirmed: prepared.confirmed(), cursors: Vec::new() };
    let (writer, recovered) =
        Writer::open(&config.tape.dir, options, prepared.origin(), &proof).map_err(tape::Error::into_refusal)?;
    let plan = prepared.plan(&recovered)?;
    if let Plan::FirstCopy { .. } = plan {
        refuse_what_does_not_fit(config, &prepared).await?;
    }
    if aim == Aim::OneTask && prepared.would_change() {
        let what = format!("publication {} publishes other tables than are asked for", config.source.publication);
        return Err(Refusal::new(Kind::Usage, what, "give the --tables or the --config of `pgtape run`"));
    }
    prepared.align().await.map_err(source::Error::into_refusal)?;
    Ok(Ready { prepared, plan, writer, recovered })
}

/// Waits for space, then opens everything anew, however long the server is away.
async fn wait_and_open(config: &Config, watermark: &Watermark) -> Result<Ready, Refusal> {
    loop {
        while free_bytes(&config.tape.dir) < SPACE_MIN_BYTES + config.tape.reserve_bytes {
            tokio::time::sleep(SPACE_POLL).await;
        }
        match open(config, Some(watermark.clone()), Aim::Service).await {
            Ok(ready) => return Ok(ready),
            Err(refusal) if matches!(refusal.kind, Kind::Unreachable | Kind::Disk) => {
                tracing::warn!(%refusal, "not yet");
                tokio::time::sleep(RETRY).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Space that we may use; 0 when the system does not say.
fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// A first copy whose rows would not fit the standby is refused, with the figures.
async fn refuse_what_does_not_fit(config: &Config, prepared: &Prepared) -> Result<(), Refusal> {
    if !config.has_sink(SinkName::Standby) {
        return Ok(());
    }
    let sizes = prepared.estimate().await.map_err(source::Error::into_refusal)?;
    let total: u64 = sizes.iter().map(|t| t.bytes).sum();
    let most = config.standby.memory_max_bytes;
    if total <= most {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::Usage,
        format!(
            "the tables hold about {} MiB of rows and standby.memory_max is {} MiB (largest: {})",
            total >> 20,
            most >> 20,
            largest(sizes.iter().map(|size| (&size.table, size.bytes)))
        ),
        "raise standby.memory_max, capture fewer tables, or run the tape alone with --sinks none",
    ))
}
