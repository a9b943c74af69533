//! Into the Kafka transaction: opens it with the first record, counts, and makes the topics that are missing.

use std::collections::HashSet;
use std::time::Instant;

use super::limits::Limits;
use crate::model::Position;
use crate::sinks::Error;
use crate::sinks::kafka::client::{Failure, Producer, Sent, Topics};
use crate::sinks::kafka::feed::{Notes, Out, Produce, PutError};
use crate::sinks::kafka::progress::Keys;
use crate::sinks::kafka::settings::Settings;

/// What a record takes beside key, value and headers' texts: lengths, offsets, time, the headers of its place, and those of
/// its batch.
const OVERHEAD_BYTES: usize = 192;

/// What is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) since: Instant,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// Takes records and notes for the transaction that is open, or opens one.
pub(super) struct Sender<'a> {
    settings: &'a Settings,
    limits: &'a Limits,
    keys: &'a Keys,
    pub(super) producer: Producer,
    topics: Topics,
    /// Topics known to exist.
    known: HashSet<String>,
    /// Topics that are produced to for the first time: the transaction at hand notes them.
    pub(super) new: Vec<String>,
    pub(super) open: Option<Open>,
    /// Records up to here are in Kafka: of a source transaction that was split.
    pub(super) done: Option<Position>,
    /// Why nothing more can be produced.
    pub(super) failed: Option<Failure>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        limits: &'a Limits,
        keys: &'a Keys,
        producer: Producer,
        topics: Topics,
        done: Option<Position>,
    ) -> Self {
        let (known, new) = (HashSet::new(), Vec::new());
        Self { settings, limits, keys, producer, topics, known, new, open: None, done, failed: None }
    }

    /// These topics exist, and have been noted.
    pub(super) fn know(&mut self, topics: impl IntoIterator<Item = String>) {
        self.known.extend(topics);
    }

    /// Whether a source transaction of this size should begin in a Kafka transaction of its own.
    pub(super) fn would_exceed(&self, messages: u64, bytes: u64) -> bool {
        let bounds = &self.settings.bounds;
        self.open
            .is_some_and(|open| open.records + messages > bounds.records_max || open.bytes + bytes > bounds.bytes_max)
    }

    /// Whether the transaction is as large as it may be.
    pub(super) fn is_full(&self) -> bool {
        let bounds = &self.settings.bounds;
        self.open.is_some_and(|open| open.records >= bounds.records_max || open.bytes >= bounds.bytes_max)
    }

    /// Whether the transaction is as old as it may be while more is coming.
    pub(super) fn is_old(&self) -> bool {
        self.open.is_some_and(|open| open.since.elapsed() >= self.settings.bounds.age_max)
    }

    /// Opens a transaction, if none is open.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        if self.open.is_none() {
            let begun = self.producer.begin();
            self.keep(begun)?;
            self.open = Some(Open { since: Instant::now(), records: 0, bytes: 0 });
        }
        Ok(())
    }

    /// Sends a record of the progress topic.
    pub(super) fn send_plain(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        self.open()?;
        let topic = &self.settings.progress_topic;
        loop {
            let sent = self.producer.send_plain(topic, key.as_bytes(), value);
            match self.keep(sent)? {
                Sent::Queued => return Ok(()),
                Sent::Full => {}
            }
        }
    }

    fn make_known(&mut self, topic: &str) -> Result<(), PutError> {
        let create = |topics: &Topics| -> Result<(), Failure> {
            match &self.settings.create {
                _ if topics.list()?.contains_key(topic) => {}
                Some(how) => topics.create(topic, how)?,
                None => {
                    return Err(Failure::Unfit(format!(
                        "the topic {topic} does not exist, and topics.create is false"
                    )));
                }
            }
            topics.wait_for(topic)
        };
        match create(&self.topics) {
            Err(Failure::Unfit(why)) => return Err(PutError::Unfit(why)),
            made => self.keep(made)?,
        }
        self.known.insert(topic.to_owned());
        self.new.push(topic.to_owned());
        Ok(())
    }

    /// Remembers the failure that ends the session.
    pub(super) fn keep<T>(&mut self, result: Result<T, Failure>) -> Result<T, Error> {
        result.map_err(|failure| {
            self.failed = Some(failure);
            Error::Interrupted
        })
    }
}

impl Sender<'_> {
    /// Whether the record is in Kafka already: of a source transaction that was split.
    fn has(&self, record: &Produce<'_>) -> bool {
        self.done.is_some_and(|done| record.position <= done)
    }

    /// The size of a record that its topic takes.
    fn fit(&mut self, record: &Produce<'_>) -> Result<usize, PutError> {
        let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers;
        let max = self.limits.of(record.topic);
        if bytes + OVERHEAD_BYTES > max {
            let whose = if max == self.settings.message_bytes_max { "message_max allows" } else { "its topic takes" };
            return Err(PutError::Unfit(format!("takes {bytes} bytes, and {whose} {max}")));
        }
        if !self.known.contains(record.topic) {
            self.make_known(record.topic)?;
        }
        Ok(bytes)
    }
}

impl Out for Sender<'_> {
    fn put(&mut self, record: &Produce<'_>) -> Result<(), PutError> {
        if self.has(record) {
            return Ok(());
        }
        let bytes = self.fit(record)?;
        self.open()?;
        loop {
            match self.producer.send(record) {
                Ok(Sent::Queued) => break,
                Ok(Sent::Full) => {}
                Err(Failure::Unfit(why)) => return Err(PutError::Unfit(why)),
                failed @ Err(Failure::Fenced(_) | Failure::Doubt(_) | Failure::TooLarge { .. }) => {
                    _ = self.keep(failed)?
                }
            }
        }
        if let Some(open) = &mut self.open {
            open.records += 1;
            open.bytes += bytes as u64;
        }
        Ok(())
    }
}

impl Notes for Sender<'_> {
    fn note(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        let key = self.keys.note(key);
        self.send_plain(&key, value)
    }
}
