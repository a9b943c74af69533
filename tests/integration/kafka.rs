//! A real broker: what is acknowledged stays, whatever is killed.

use pgtape::sandbox::{KafkaPrograms, PrivateKafka};

/// The jars that `scripts/setup.sh` fetches.
const JARS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/kafka/libs");

/// A broker of the test's own.
fn broker() -> PrivateKafka {
    let programs = KafkaPrograms::at(JARS).unwrap_or_else(|refusal| panic!("{refusal}"));
    PrivateKafka::start(programs).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_broker_that_is_killed_comes_back_with_what_it_acknowledged() {
    let mut broker = broker();
    broker.tool("TopicCommand", &["--create", "--topic", "t", "--partitions", "1"]).unwrap();
    let load = ["--topic", "t", "--num-records", "100", "--record-size", "50", "--throughput", "-1"];
    let acknowledged = ["--command-property", "acks=all"];
    broker.tool("ProducerPerformance", &[&load[..], &acknowledged[..]].concat()).unwrap();
    broker.kill9().unwrap();
    broker.start_again().unwrap();
    let ends = broker.tool("GetOffsetShell", &["--topic", "t"]).unwrap();
    assert_eq!(ends.stdout.trim(), "t:0:100");
}
