//! In place of the Kafka sinks, in a build without them.

use tokio_util::sync::CancellationToken;

use super::Part;
use super::ingest::{Aim, Ingest};
use crate::config::{Config, SinkName};
use crate::ops::doctor::Check;
use crate::ops::kafka::Stretch;
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::sinks::kafka::report::Report;
use crate::sinks::standby::StandbyReader;
use crate::tape::Pins;

/// A sink that there is none of.
#[derive(Clone)]
pub enum Handle {}

impl Handle {
    /// Never asked.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// Never asked.
    pub async fn order(&self, _: Order) -> Result<Obeyed, Refusal> {
        match *self {}
    }

    /// Never asked.
    pub fn outbox(&self) -> Option<&crate::sinks::kafka::outbox::StatusHandle> {
        match *self {}
    }

    /// Never asked.
    pub fn report(&self) -> Report {
        match *self {}
    }
}

/// Refuses sinks that this build cannot feed.
pub(super) fn start(
    config: &Config,
    _version: &str,
    aim: Aim,
    _opened: &Ingest,
    _standby: Option<&StandbyReader>,
    _pins: &Pins,
    stop: &CancellationToken,
) -> Result<(Vec<Handle>, Part), Refusal> {
    if config.has_sink(SinkName::Kafka) && aim == Aim::Service && !config.kafka.is_empty() {
        let what = "this pgtape was built without Kafka, and [[kafka]] is configured";
        return Err(Refusal::new(Kind::Usage, what, "build it with the feature kafka, or take kafka out of sinks"));
    }
    let stop = stop.clone();
    let idle = async move {
        stop.cancelled().await;
        Ok(())
    };
    Ok((Vec::new(), Part::spawn(idle)))
}

fn without() -> Refusal {
    Refusal::new(Kind::Usage, "this pgtape was built without Kafka", "build it with the feature kafka")
}

/// Refused.
pub async fn show(_: &Config, _: &str) -> Result<String, Refusal> {
    Err(without())
}

/// Nothing can be asked.
pub async fn probe(config: &Config, _: &str) -> Result<Vec<Check>, Refusal> {
    let on = config.has_sink(SinkName::Kafka) && !config.kafka.is_empty();
    let finding = || Check::finding("kafka_brokers", without().what, format!("-- {}", without().hint));
    Ok(on.then(finding).into_iter().collect())
}

/// Refused.
pub async fn obey(_: &Config, _: &str, _: &str, _: Order) -> Result<Obeyed, Refusal> {
    Err(without())
}

/// Refused.
pub async fn replay(_: &Config, _: &str, _: &Stretch) -> Result<u64, Refusal> {
    Err(without())
}

/// There are no sinks to refuse tables for.
#[allow(clippy::unused_async)]
pub(super) async fn refuse_tables(_: &Config, _: &str) -> Result<(), Refusal> {
    Ok(())
}
