//! Which topics there are; makes those that are missing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseProducer;

use super::Failure;
use super::properties::{self, Heard};
use crate::sinks::kafka::settings::{Link, NewTopics};

/// How long a broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is looked whether a topic is there.
const MADE_POLL: Duration = Duration::from_millis(20);

/// How long it is looked for why no broker answers.
const WHY_TIMEOUT: Duration = Duration::from_secs(3);
const WHY_POLL: Duration = Duration::from_millis(50);

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its partitions.
    pub partitions: usize,
    /// The replicas of its first partition.
    pub replicas: usize,
}

/// The topics of a cluster.
pub struct Topics {
    link: Link,
    id: String,
    admin: AdminClient<Heard>,
    heard: Heard,
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    /// Of the cluster of `link`.
    pub fn new(link: &Link, id: &str) -> Result<Self, Failure> {
        let heard = Heard::default();
        let made = properties::common(link, id).create_with_context(heard.clone());
        let admin = made.map_err(|error: KafkaError| Failure::of("make an admin client", &error, None))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Doubt(format!("make a runtime: {error}")))?;
        Ok(Self { link: link.clone(), id: id.to_owned(), admin, heard, runtime })
    }

    /// All topics that this client may see. Asking for all never makes a broker create one.
    pub fn list(&self) -> Result<HashMap<String, TopicFacts>, Failure> {
        let metadata = self.admin.inner().fetch_metadata(None, TIMEOUT);
        let metadata = metadata.map_err(|error| self.failure("list the topics", &error))?;
        let facts = |topic: &rdkafka::metadata::MetadataTopic| {
            let partitions = topic.partitions();
            let replicas = partitions.first().map_or(0, |partition| partition.replicas().len());
            (topic.name().to_owned(), TopicFacts { partitions: partitions.len(), replicas })
        };
        Ok(metadata.topics().iter().filter(|topic| topic.error().is_none()).map(facts).collect())
    }

    /// The brokers that are there, as `host:port`.
    pub fn brokers(&self) -> Result<Vec<String>, Failure> {
        let metadata = self.admin.inner().fetch_metadata(None, TIMEOUT);
        let metadata = metadata.map_err(|error| self.failure("reach the brokers", &error))?;
        Ok(metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect())
    }

    /// Records that were ever appended to a topic, control records included.
    pub fn appended(&self, topic: &str, partitions: usize) -> Result<i64, Failure> {
        let mut all = 0;
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            let ends = self.admin.inner().fetch_watermarks(topic, partition, TIMEOUT);
            all += ends.map_err(|error| self.failure(&format!("look at the end of {topic}"), &error))?.1;
        }
        Ok(all)
    }

    /// Waits until every partition of a topic answers. A broker tells of a topic before it can append to it; what it refuses
    /// then can be lost without a word, for it takes whatever comes next for a producer's first batch.
    pub fn wait_for(&self, topic: &str) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let facts = self.list()?.get(topic).copied();
            match facts.map(|facts| self.appended(topic, facts.partitions)) {
                Some(Ok(_)) => return Ok(()),
                Some(Err(failure)) if started.elapsed() > TIMEOUT => return Err(failure),
                None if started.elapsed() > TIMEOUT => {
                    return Err(Failure::Doubt(format!("the brokers do not tell of the topic {topic}")));
                }
                Some(Err(_)) | None => std::thread::sleep(MADE_POLL),
            }
        }
    }

    /// Makes a topic; one that is there already is left as it is.
    pub fn create(&self, name: &str, how: &NewTopics) -> Result<(), Failure> {
        self.ask_for(name, how, false)
    }

    /// Whether [`Topics::create`] would succeed.
    pub fn could_create(&self, name: &str, how: &NewTopics) -> Result<(), Failure> {
        self.ask_for(name, how, true)
    }

    fn ask_for(&self, name: &str, how: &NewTopics, only_asking: bool) -> Result<(), Failure> {
        let replication = TopicReplication::Fixed(how.replication.unwrap_or(-1));
        let mut topic = NewTopic::new(name, how.partitions.unwrap_or(-1), replication);
        for (key, value) in &how.configs {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let options = options.validate_only(only_asking);
        let made = self.runtime.block_on(self.admin.create_topics([&topic], &options));
        let doing = format!("create the topic {name}");
        match made.map_err(|error| self.failure(&doing, &error))?.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) if is_of_the_topic(code) => Err(Failure::Unfit(format!("{doing}: {code}"))),
            Some(Err((_, code))) => Err(self.failure(&doing, &KafkaError::AdminOp(code))),
        }
    }

    /// A config of a topic; `None` where the broker does not tell.
    pub fn config(&self, topic: &str, name: &str) -> Result<Option<String>, Failure> {
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let resource = ResourceSpecifier::Topic(topic);
        let answer = self.runtime.block_on(self.admin.describe_configs([&resource], &options));
        let answer = answer.map_err(|error| self.failure(&format!("look at the configs of {topic}"), &error))?;
        let resource = answer.into_iter().next().and_then(Result::ok);
        Ok(resource.and_then(|resource| resource.get(name).and_then(|entry| entry.value.clone())))
    }

    fn failure(&self, doing: &str, error: &KafkaError) -> Failure {
        let unreachable = [RDKafkaErrorCode::BrokerTransportFailure, RDKafkaErrorCode::OperationTimedOut];
        let unreachable = error.rdkafka_error_code().is_some_and(|code| unreachable.contains(&code));
        let seen = self.heard.trouble().or_else(|| if unreachable { self.why_unreachable() } else { None });
        Failure::of(doing, error, seen)
    }

    /// An admin client does not hear why it is not let in, so a client that does is asked.
    fn why_unreachable(&self) -> Option<String> {
        let (heard, started) = (Heard::default(), Instant::now());
        let config = properties::common(&self.link, &self.id);
        let client: BaseProducer<Heard> = config.create_with_context(heard.clone()).ok()?;
        while started.elapsed() < WHY_TIMEOUT {
            client.poll(WHY_POLL);
            if let Some(trouble) = heard.trouble() {
                return Some(trouble);
            }
        }
        None
    }
}

/// Whether what is wrong is wrong with this topic alone.
fn is_of_the_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidTopic | RDKafkaErrorCode::PolicyViolation | RDKafkaErrorCode::TopicAuthorizationFailed
    )
}
