//! Looking at what Kafka holds of a sink, without taking its id.

use serde::Serialize;

use super::begin::{noted_topics, progress_of};
use crate::model::Position;
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::{Stop, Stopped};
use crate::sinks::kafka::client::{self, Failure, Found, Topics};
use crate::sinks::kafka::progress::Keys;
use crate::sinks::kafka::settings::Settings;

/// What Kafka holds of a sink.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// Its name.
    pub sink: String,
    /// Its id: the transactional id, and the key of its progress record.
    pub id: String,
    /// Everything up to here is in Kafka; null without progress.
    pub position: Option<Position>,
    /// The epoch of that position.
    pub epoch: Option<u32>,
    /// How often an operator moved it.
    pub moves: u64,
    /// Records produced since the progress began.
    pub records: u64,
    /// Records that went into quarantine, ever.
    pub quarantined: u64,
    /// Topics that hold records of it.
    pub topics: Vec<String>,
    /// Topics that have stopped.
    pub stopped: Vec<Stop>,
}

/// Reads the progress topic to its end.
pub fn look(settings: &Settings) -> Result<Look, Refusal> {
    let keys = Keys::new(&settings.id);
    let found = read(settings, &keys).map_err(|failure| {
        let what = format!("the progress of the Kafka sink {} cannot be read: {failure}", settings.name);
        Refusal::new(Kind::Unreachable, what, "look with: pgtape doctor")
    })?;
    let progress = progress_of(&found)?;
    let stopped = Stopped::of_notes(&found.notes).map_err(crate::sinks::Error::into_refusal)?;
    Ok(Look {
        sink: settings.name.clone(),
        id: settings.id.clone(),
        position: progress.as_ref().map(|progress| progress.position),
        epoch: progress.as_ref().map(|progress| progress.epoch),
        moves: progress.as_ref().map_or(0, |progress| progress.moves),
        records: progress.as_ref().map_or(0, |progress| progress.records),
        quarantined: progress.as_ref().map_or(0, |progress| progress.quarantined),
        topics: noted_topics(&found).map(str::to_owned).collect(),
        stopped: stopped.all(),
    })
}

/// What is there; before the first run there is no topic.
fn read(settings: &Settings, keys: &Keys) -> Result<Found, Failure> {
    let topics = Topics::new(&settings.link, &settings.id)?;
    match topics.list()?.contains_key(&settings.progress_topic) {
        true => client::read(&settings.link, &settings.progress_topic, keys, None),
        false => Ok(Found::default()),
    }
}
