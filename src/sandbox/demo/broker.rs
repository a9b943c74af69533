//! The broker that the demo's topics are on.

use crate::refusal::{Kind, Refusal};
use crate::sandbox::{Error, KafkaPrograms, KafkaReader, PrivateKafka};

/// Where a broker is from.
#[derive(Debug, Clone)]
pub enum Kafka {
    /// One of the demo's own, of these programs.
    Private(KafkaPrograms),
    /// One that runs already, as `host:port`.
    Running(String),
}

/// A broker, and the names that belong to the demo there.
pub(super) struct Broker {
    reader: KafkaReader,
    /// All topics begin with it, and the sink's id: on a broker of others, where they are kept, nothing is met or taken over.
    prefix: String,
    _private: Option<PrivateKafka>,
}

impl Broker {
    /// Starts it, or looks whether it answers.
    pub(super) fn of(kafka: Kafka) -> Result<Self, Error> {
        match kafka {
            Kafka::Private(programs) => {
                let private = PrivateKafka::start(programs)?;
                let reader = KafkaReader::new(private.bootstrap());
                Ok(Self { reader, prefix: "demo".to_owned(), _private: Some(private) })
            }
            Kafka::Running(bootstrap) => {
                let reader = KafkaReader::new(bootstrap);
                reader.topics().map_err(|error| match error {
                    Error::Program { .. } => {
                        let what = format!("no broker answers at {}", reader.bootstrap());
                        Refusal::new(Kind::Unreachable, what, "name one as host:port").into()
                    }
                    error => error,
                })?;
                let random = uuid::Uuid::new_v4().simple().to_string();
                let prefix = format!("demo-{}", &random[..8]);
                Ok(Self { reader, prefix, _private: None })
            }
        }
    }

    /// Topics begin with this.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn reader(&self) -> &KafkaReader {
        &self.reader
    }

    /// What the service is configured with.
    pub(super) fn sink(&self) -> String {
        let (brokers, prefix) = (self.reader.bootstrap(), &self.prefix);
        format!(
            "\n[[kafka]]\nbrokers = \"{brokers}\"\ntopic_prefix = \"{prefix}\"\n\
             progress_topic = \"{prefix}.progress\"\ninitial = \"earliest\"\n"
        )
    }
}
