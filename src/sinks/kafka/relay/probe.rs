//! What `pgtape doctor` asks of Kafka. Takes no id, so that a running service is not disturbed, and makes no topic.

use std::path::Path;

use super::begin::{refuse_properties, wrong_progress_topic};
use super::look::{Look, look};
use crate::refusal::Refusal;
use crate::sinks::kafka::changes::Format;
use crate::sinks::kafka::client::{Failure, Topics};
use crate::sinks::kafka::registry::{Registry, RegistryError};
use crate::sinks::kafka::settings::{FeedSettings, NewTopics, Settings};
use crate::tape;

/// What one question brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub check: &'static str,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub verdict: Verdict,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// A careful operator would do this.
    Better(String),
    /// It does not work before this is done.
    Wrong(String),
}

/// Asks everything; stops where the brokers do not answer.
#[must_use]
pub fn probe(settings: &Settings, tape_dir: &Path) -> Vec<Probe> {
    let mut probes = Vec::new();
    if refuse_properties(settings).is_err() {
        return probes; // Told with the tables; nothing else can be asked.
    }
    let topics = match brokers(settings, &mut probes) {
        Some(topics) => topics,
        None => return probes,
    };
    registry(settings, &mut probes);
    progress_topic(settings, &topics, &mut probes);
    rights(settings, &topics, &mut probes);
    match look(settings) {
        Ok(found) => {
            if found.position.is_none()
                && let Ok(Some(position)) = super::thread::noted(settings)
            {
                let lost = super::stand::lost(settings, position);
                probes.push(wrong("kafka_progress", lost.what, lost.hint));
            }
            noted(settings, &topics, &found, &mut probes);
            lag(settings, tape_dir, &found, &mut probes);
        }
        Err(refusal) => probes.push(wrong("kafka_progress", refusal.what, refusal.hint)),
    }
    probes
}

fn fine(check: &'static str, message: String) -> Probe {
    Probe { check, message, verdict: Verdict::Fine }
}

fn better(check: &'static str, message: String, fix: impl Into<String>) -> Probe {
    Probe { check, message, verdict: Verdict::Better(fix.into()) }
}

fn wrong(check: &'static str, message: String, fix: impl Into<String>) -> Probe {
    Probe { check, message, verdict: Verdict::Wrong(fix.into()) }
}

fn failed(check: &'static str, name: &str, failure: &Failure) -> Probe {
    wrong(check, format!("{name}: {failure}"), "-- look at brokers, security and rights of this sink")
}

fn brokers(settings: &Settings, probes: &mut Vec<Probe>) -> Option<Topics> {
    const NAME: &str = "kafka_brokers";
    let asked = Topics::new(&settings.link, &settings.id).and_then(|topics| Ok((topics.brokers()?, topics)));
    match asked {
        Ok((brokers, topics)) => {
            probes.push(fine(NAME, format!("{}: {} answer: {}", settings.name, brokers.len(), brokers.join(", "))));
            Some(topics)
        }
        Err(failure) => {
            probes.push(failed(NAME, &settings.name, &failure));
            None
        }
    }
}

/// The schema registry, where records need one.
fn registry(settings: &Settings, probes: &mut Vec<Probe>) {
    const NAME: &str = "kafka_registry";
    let FeedSettings::Changes(changes) = &settings.feed else { return };
    let Format::Avro(registry) = &changes.format else { return };
    let asked = Registry::new(registry).map_err(RegistryError::Refused).and_then(|registry| registry.check());
    probes.push(match asked {
        Ok(()) => fine(NAME, format!("{}: {} answers", settings.name, registry.url)),
        Err(RegistryError::Refused(refusal)) => wrong(NAME, refusal.what, format!("-- {}", refusal.hint)),
        Err(error) => wrong(NAME, format!("{}: {error}", settings.name), "-- start it, or mend kafka.registry.url"),
    });
}

fn progress_topic(settings: &Settings, topics: &Topics, probes: &mut Vec<Probe>) {
    const NAME: &str = "kafka_progress";
    let topic = &settings.progress_topic;
    let asked = topics.list().and_then(|list| {
        let Some(facts) = list.get(topic).copied() else { return Ok(None) };
        Ok(Some((facts, topics.config(topic, "cleanup.policy")?)))
    });
    probes.push(match asked {
        Err(failure) => failed(NAME, &settings.name, &failure),
        Ok(None) if settings.create.is_some() => {
            fine(NAME, format!("{topic} does not exist yet: the first run makes it"))
        }
        Ok(None) => wrong(
            NAME,
            format!("{topic} does not exist, and topics.create is false"),
            format!("-- kafka-topics --create --topic {topic} --partitions 1 --config cleanup.policy=compact"),
        ),
        Ok(Some((facts, policy))) => match wrong_progress_topic(topic, facts.partitions, policy.as_deref()) {
            Some(Refusal { what, hint, .. }) => wrong(NAME, what, format!("-- {hint}")),
            None if facts.replicas < 2 => {
                better(NAME, format!("{topic} has one replica: with its disk the position is lost"), "-- replicate it")
            }
            None => fine(NAME, format!("{topic} is compacted, with {} replicas", facts.replicas)),
        },
    });
}

/// Asks whether a topic could be made, without making it.
fn rights(settings: &Settings, topics: &Topics, probes: &mut Vec<Probe>) {
    const NAME: &str = "kafka_rights";
    let Some(how) = &settings.create else { return };
    let name = format!("{}.pgtape-doctor", settings.id);
    let trial = NewTopics { configs: how.configs.clone(), ..*how };
    probes.push(match topics.could_create(&name, &trial) {
        Ok(()) => fine(NAME, format!("{}: topics can be made", settings.name)),
        Err(failure) => wrong(
            NAME,
            format!("{}: topics cannot be made: {failure}", settings.name),
            "-- grant Create on the topics, mend [kafka.topics], or make them and set create = false",
        ),
    });
}

/// The topics that hold records of the sink.
fn noted(settings: &Settings, topics: &Topics, found: &Look, probes: &mut Vec<Probe>) {
    const NAME: &str = "kafka_topics";
    let list = match topics.list() {
        Ok(list) => list,
        Err(failure) => return probes.push(failed(NAME, &settings.name, &failure)),
    };
    let before = probes.len();
    for topic in &found.topics {
        let Some(facts) = list.get(topic) else {
            let fix = format!("-- pgtape kafka forget {} --topic {topic}", settings.name);
            probes.push(wrong(NAME, format!("{topic} is gone, with the records that were in it"), fix));
            continue;
        };
        let number = |name: &str| topics.config(topic, name).ok().flatten().and_then(|value| value.parse().ok());
        if number("max.message.bytes").is_some_and(|max: usize| max < settings.message_bytes_max) {
            let message = format!("{topic} takes smaller records than message_max ({})", settings.message_bytes_max);
            probes.push(wrong(NAME, message, "-- raise max.message.bytes of the topic, or lower message_max"));
        }
        if facts.replicas > 1 && number("min.insync.replicas").is_some_and(|min: usize| min < 2) {
            let message = format!("{topic} acknowledges with one replica (min.insync.replicas = 1)");
            probes.push(better(NAME, message, "-- set min.insync.replicas = 2"));
        }
    }
    for stop in &found.stopped {
        let resume = format!("pgtape kafka resume {} --table {}", settings.name, stop.table);
        let fix = format!("-- mend that, then: {resume}; or go on without what was missed: {resume} --skip");
        probes.push(wrong(NAME, format!("the topic of {} has stopped: {}", stop.table, stop.reason), fix));
    }
    if probes.len() == before {
        probes.push(fine(NAME, format!("{}: {} topics are as they should be", settings.name, found.topics.len())));
    }
}

/// How far behind the tape the sink is, in bytes, messages and time.
fn lag(settings: &Settings, tape_dir: &Path, found: &Look, probes: &mut Vec<Probe>) {
    const NAME: &str = "kafka_lag";
    let (Some(position), Ok(info)) = (found.position, tape::info(tape_dir)) else { return };
    let name = &settings.name;
    if position.lsn < info.oldest {
        let message = format!("{name} stands at {position}, and the tape begins after {}", info.oldest);
        return probes.push(wrong(NAME, message, format!("-- pgtape kafka reset {name}")));
    }
    let behind: Vec<_> = info.segments.iter().filter(|segment| segment.last > position.lsn).collect();
    let messages: u64 = behind.iter().filter(|segment| segment.base >= position.lsn).map(|s| s.messages).sum();
    let bytes = info.newest.bytes_since(position.lsn);
    let message = format!("{name} is {bytes} bytes of WAL and at least {messages} messages behind the tape's end");
    probes.push(if behind.len() > 2 {
        better(NAME, message, format!("-- see what it does: pgtape status ({name})"))
    } else {
        fine(NAME, message)
    });
}
