//! The scene: what every helper and handler may look at, and the status made of it.

use std::sync::Arc;
use std::time::Duration;

use super::assemble::{Assembler, Fixed, Parts};
use super::ingest::{DiskState, TapeFacts};
use super::kafka::Handle as Topics;
use super::retention::Findings;
use crate::api::Status;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::sinks::Handles;
use crate::source::StatusHandle;

/// How often readiness is looked at while somebody waits for it.
const POLL: Duration = Duration::from_millis(50);

/// The running service, to look at. Changes nothing.
pub(super) struct Scene {
    pub config: Arc<Config>,
    pub metrics: Metrics,
    pub source: StatusHandle,
    pub tape: TapeFacts,
    pub disk: DiskState,
    pub sinks: Option<Handles>,
    pub kafka: Vec<Topics>,
    pub retention: Findings,
    pub assembler: Assembler,
}

impl Scene {
    /// The whole service now.
    pub fn status(&self) -> Status {
        let parts = Parts {
            source: self.source.get(),
            usage: self.retention.usage(),
            end: self.tape.watermark.get(),
            tape_full: self.disk.is_full(),
            sinks: self.sinks.as_ref().map(Handles::status).unwrap_or_default(),
            kafka: self.kafka.iter().map(Topics::report).collect(),
            view: self.sinks.as_ref().map(|sinks| sinks.standby.view()),
        };
        self.assembler.status(&parts, now_us())
    }

    /// Waits until reads have seen what the server had committed when the connection was made.
    pub async fn ready(&self) {
        while !self.status().ready {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// What does not change while the service runs.
pub(super) fn fixed(config: &Config, version: &str) -> Fixed {
    Fixed {
        version: version.to_owned(),
        database: config.postgres.as_ref().map(|a| a.database().to_owned()).unwrap_or_default(),
        slot: config.source.slot.clone(),
        started_us: now_us(),
        budget_bytes: config.tape.budget_bytes,
        memory_max_bytes: config.standby.memory_max_bytes,
    }
}

/// Microseconds since the Unix epoch.
pub(super) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
