//! Reading the progress topic.
//!
//! Invariant: an answer holds everything that was committed before the mark, which this session itself has committed: a
//! reader that is slow, or behind somebody's open transaction, waits for it, and never takes "nothing yet" for "nothing".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::Failure;
use super::properties::{self, Heard};
use crate::sinks::kafka::progress::{Key, Keys};
use crate::sinks::kafka::settings::Link;

/// How long a look may take without anything being read.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// What the progress topic holds of a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest progress record.
    pub progress: Option<Vec<u8>>,
    /// Who worked as the sink last.
    pub instance: Option<Vec<u8>>,
    /// The notes of its feed.
    pub notes: BTreeMap<String, Vec<u8>>,
}

impl Found {
    fn take(&mut self, key: &Key<'_>, value: Option<&[u8]>) {
        let value = value.map(<[u8]>::to_vec);
        match (key, value) {
            (Key::Progress, value) => self.progress = value,
            (Key::Instance, value) => self.instance = value,
            (Key::Note(name), Some(value)) => _ = self.notes.insert((*name).to_owned(), value),
            (Key::Note(name), None) => _ = self.notes.remove(*name),
        }
    }
}

/// Reads what is committed: up to the sink's own record `until` (an instance), or to the end as it is now.
pub fn read(link: &Link, topic: &str, keys: &Keys, until: Option<&str>) -> Result<Found, Failure> {
    let mut config = properties::common(link, keys.progress());
    config
        .set("group.id", format!("pgtape.{}", keys.progress()))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true");
    let heard = Heard::default();
    let failed = |error: &KafkaError| Failure::of(&format!("read {topic}"), error, heard.trouble());
    let consumer: BaseConsumer<Heard> = config.create_with_context(heard.clone()).map_err(|error| failed(&error))?;
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning).map_err(|error| failed(&error))?;
    consumer.assign(&all).map_err(|error| failed(&error))?;
    // Somebody may write without a pause: the end is that of now.
    let end = match until {
        Some(_) => None,
        None => Some(consumer.fetch_watermarks(topic, 0, SILENCE_MAX).map_err(|error| failed(&error))?.1),
    };
    let (mut found, mut last) = (Found::default(), Instant::now());
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                last = Instant::now();
                let key = message.key().and_then(|key| keys.of(key));
                if let Some(key) = &key {
                    found.take(key, message.payload());
                }
                if end.is_some_and(|end| message.offset() + 1 >= end) {
                    return Ok(found);
                }
                if key == Some(Key::Instance) && until.is_some_and(|mark| message.payload() == Some(mark.as_bytes())) {
                    return Ok(found);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) if until.is_none() => return Ok(found),
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => return Err(failed(&error)),
        }
        if last.elapsed() > SILENCE_MAX {
            let seen = heard.trouble().map_or(String::new(), |seen| format!(" ({seen})"));
            return Err(Failure::Doubt(format!("read {topic}: nothing came for {} s{seen}", SILENCE_MAX.as_secs())));
        }
    }
}
