//! How every session begins, of the loop or of an order: with the id, and with what the progress topic says.

use super::work::TOPIC_NOTE;
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::client::{self, Failure, Found, Producer, Sizes, Topics};
use crate::sinks::kafka::progress::{Keys, Progress};
use crate::sinks::kafka::settings::{NewTopics, Settings};

/// Who works as the sink, in this process.
pub(super) struct Instance {
    name: String,
    sessions: u64,
}

impl Instance {
    pub(super) fn new() -> Self {
        Self { name: uuid::Uuid::new_v4().to_string(), sessions: 0 }
    }

    /// What the next session says of itself.
    fn next(&mut self) -> String {
        self.sessions += 1;
        serde_json::json!({ "instance": self.name, "session": self.sessions }).to_string()
    }

    /// Whether this process wrote the record.
    pub(super) fn wrote(&self, record: &[u8]) -> bool {
        let value: Option<serde_json::Value> = serde_json::from_slice(record).ok();
        value.is_some_and(|value| value["instance"] == *self.name)
    }
}

/// A session that has begun.
pub(super) struct Begun {
    pub(super) producer: Producer,
    pub(super) topics: Topics,
    pub(super) found: Found,
}

/// Why it has not.
pub(super) enum NotBegun {
    /// It may be tried again.
    Failed(Failure),
    /// A person must mend something.
    Refused(Refusal),
}

impl From<Failure> for NotBegun {
    fn from(failure: Failure) -> Self {
        NotBegun::Failed(failure)
    }
}

/// Takes the id, says so in the progress topic, and reads that up to there.
pub(super) fn begin(
    settings: &Settings,
    keys: &Keys,
    batch_max: usize,
    instance: &mut Instance,
) -> Result<Begun, NotBegun> {
    let topics = Topics::new(&settings.link, &settings.id)?;
    make_progress_topic(&topics, settings)?;
    let (link, sizes) = (&settings.link, Sizes { record_max: settings.message_bytes_max, batch_max });
    let producer = Producer::start(link, &settings.id, settings.delivery, &settings.bounds, sizes)?;
    let mark = instance.next();
    fail::fail_point!("kafka::before-mark");
    producer.begin()?;
    producer.send_plain(&settings.progress_topic, keys.instance().as_bytes(), Some(mark.as_bytes()))?;
    producer.flush(|| true)?;
    producer.commit()?;
    let found = client::read(link, &settings.progress_topic, keys, Some(&mark))?;
    Ok(Begun { producer, topics, found })
}

/// Refuses properties that librdkafka does not know, or does not take.
pub fn refuse_properties(settings: &Settings) -> Result<(), Refusal> {
    let sizes = Sizes { record_max: settings.message_bytes_max, batch_max: settings.message_bytes_max };
    let wrong = Producer::check(&settings.link, &settings.id, settings.delivery, &settings.bounds, sizes);
    wrong.map_or(Ok(()), |wrong| {
        let what = format!("the properties of the Kafka sink {} cannot be used: {wrong}", settings.name);
        Err(Refusal::new(Kind::Usage, what, "mend [kafka.properties]: they are librdkafka's (CONFIGURATION.md there)"))
    })
}

fn make_progress_topic(topics: &Topics, settings: &Settings) -> Result<(), NotBegun> {
    let name = &settings.progress_topic;
    let partitions = match topics.list()?.get(name) {
        Some(facts) => facts.partitions,
        None => {
            let configs = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
            let replication = settings.create.as_ref().and_then(|how| how.replication);
            topics.create(name, &NewTopics { partitions: Some(1), replication, configs })?;
            1
        }
    };
    let policy = topics.config(name, "cleanup.policy")?;
    wrong_progress_topic(name, partitions, policy.as_deref()).map_or(Ok(()), |no| Err(NotBegun::Refused(no)))
}

/// What is wrong with a progress topic.
pub(super) fn wrong_progress_topic(name: &str, partitions: usize, policy: Option<&str>) -> Option<Refusal> {
    let wrong = match policy {
        _ if partitions != 1 => format!("has {partitions} partitions; it must have one"),
        Some(policy) if policy != "compact" => {
            format!("has cleanup.policy={policy}, by which progress would be deleted; it must be compact")
        }
        _ => return None,
    };
    let what = format!("the topic of progress records, {name}, {wrong}");
    Some(Refusal::new(Kind::Server, what, "name another progress_topic, or mend this one with Kafka's own tools"))
}

/// The progress that was found; refused when it cannot be read.
pub(super) fn progress_of(found: &Found) -> Result<Option<Progress>, Refusal> {
    let hint = "it was written by something else: name another progress_topic or topic_prefix";
    let decode =
        |record: &Vec<u8>| Progress::decode(record).map_err(|error| Refusal::new(Kind::Tape, error.to_string(), hint));
    found.progress.as_ref().map(decode).transpose()
}

/// The topics that hold records of the sink.
pub(super) fn noted_topics(found: &Found) -> impl Iterator<Item = &str> {
    found.notes.keys().filter_map(|key| key.strip_prefix(TOPIC_NOTE))
}
