//! Topics that have just been made: a broker tells of them before it can append to every partition.
//!
//! What it refuses then may be followed by a batch that it takes for the producer's first, and librdkafka believes the one
//! before delivered, too. The producer must not.

use std::time::Duration;

use pgtape::model::{Lsn, Position};
use pgtape::sinks::kafka::client::{Failure, Producer, Sent, Sizes, Topics};
use pgtape::sinks::kafka::feed::Produce;
use pgtape::sinks::kafka::settings::{Bounds, Delivery, Link, NewTopics};

use super::any_broker;

/// They take a broker a while to make.
const PARTITIONS: i32 = 100;
const TOPICS: u32 = 8;
/// Several batches of each partition.
const RECORDS: u32 = 4000;
/// So that batches are small, and one partition's follow each other while others are being made.
const APART: Duration = Duration::from_micros(30);
const SIZES: Sizes = Sizes { record_max: 1 << 20, batch_max: 1 << 20 };

/// A transaction of records to a topic.
fn produce(producer: &Producer, topic: &str) -> Result<(), Failure> {
    producer.begin()?;
    for n in 0..RECORDS {
        let (key, position) = (n.to_string(), Position::at(Lsn(1), u64::from(n)));
        let record = Produce { topic, key: Some(key.as_bytes()), value: None, headers: &[], position, part: 0 };
        while producer.send(&record)? == Sent::Full {}
        std::thread::sleep(APART);
    }
    producer.flush(|| true)?;
    producer.commit()
}

/// Makes topics and produces to them; how many were in doubt.
fn fill(waiting: bool) -> u32 {
    let broker = any_broker();
    let link = Link { brokers: broker.bootstrap(), properties: vec![("linger.ms".into(), "0".into())] };
    let start = || Producer::start(&link, "young", Delivery::ExactlyOnce, &Bounds::default(), SIZES).unwrap();
    let topics = Topics::new(&link, "young").unwrap();
    let how = NewTopics { partitions: Some(PARTITIONS), replication: None, configs: Vec::new() };
    let (mut producer, mut doubts) = (start(), 0);
    for n in 0..TOPICS {
        let topic = format!("young{n}");
        topics.create(&topic, &how).unwrap();
        if waiting {
            topics.wait_for(&topic).unwrap();
        }
        let done = produce(&producer, &topic);
        if done.is_err() {
            // The next producer ends the transaction, without its records.
            producer = start();
        }
        let records = broker.tools().read(&topic).unwrap_or_else(|e| panic!("{e}")).len();
        match done {
            Ok(()) => assert_eq!(records, RECORDS as usize, "{topic}"),
            Err(Failure::Doubt(_)) => assert_eq!(records, 0, "{topic}"),
            Err(failure) => panic!("{failure}"),
        }
        doubts += u32::from(done.is_err());
    }
    println!("{doubts} of {TOPICS} topics in doubt");
    doubts
}

#[test]
fn the_first_records_of_a_topic_are_there_or_in_doubt() {
    fill(false);
}

#[test]
fn nothing_is_in_doubt_when_a_topic_was_waited_for() {
    assert_eq!(fill(true), 0);
}
