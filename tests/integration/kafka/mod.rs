//! Real brokers: those of the sandbox themselves, and what the Kafka sink makes of them.
//!
//! `PGTAPE_TEST_KAFKA=local|container|HOST:PORT` says where the broker of tests comes from that only talk to it. Tests that
//! kill it, cut it off, or need it guarded or small start their own.

#[cfg(feature = "kafka")]
mod avro;
mod broker;
#[cfg(feature = "kafka")]
mod cluster;
#[cfg(feature = "kafka")]
mod connection;
#[cfg(feature = "kafka")]
mod crash;
mod doors;
#[cfg(feature = "kafka")]
mod fence;
#[cfg(feature = "kafka")]
mod flink;
#[cfg(feature = "kafka")]
mod journal;
#[cfg(feature = "kafka")]
mod outbox;
#[cfg(feature = "kafka")]
mod parts;
#[cfg(feature = "kafka")]
mod sessions;
#[cfg(feature = "kafka")]
mod stage;
#[cfg(feature = "kafka")]
mod trouble;
#[cfg(feature = "kafka")]
mod young;

#[cfg(feature = "kafka")]
use pgtape::sandbox::{KafkaBroker, Place};
use pgtape::sandbox::{KafkaOptions, KafkaPrograms, PrivateKafka};

/// The jars that `scripts/setup.sh kafka` fetches.
const JARS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/kafka/libs");

/// Java and Kafka; a test without them fails, and says what to install.
pub fn programs() -> KafkaPrograms {
    KafkaPrograms::at(JARS).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// A broker without topics that the test only talks to.
#[cfg(feature = "kafka")]
pub fn any_broker() -> KafkaBroker {
    let place = Place::from_text(&std::env::var("PGTAPE_TEST_KAFKA").unwrap_or_default());
    KafkaBroker::start(&place, programs()).unwrap_or_else(|error| panic!("{error}"))
}

/// A broker of the test's own.
pub fn broker(options: &KafkaOptions<'_>) -> PrivateKafka {
    PrivateKafka::start_with(programs(), options).unwrap_or_else(|error| panic!("{error}"))
}
