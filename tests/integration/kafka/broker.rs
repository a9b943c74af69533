//! The sandbox's brokers: what is acknowledged stays, whatever is killed, cut off or full; and both readers find it.

use std::process::Command;
use std::time::Duration;

use pgtape::sandbox::{Door, KafkaBroker, KafkaCluster, KafkaOptions, KafkaTools, Place, Record, SmallDisk};

use super::{broker, programs};

/// Longer than a broker without space goes on.
const ENDS: Duration = Duration::from_secs(60);
/// The whole disk of a broker: most of it is taken away. Kafka makes segments and indexes of 1 MiB below.
const DISK_BYTES: u64 = 96 << 20;

/// Has Java's tool write `records` records of 50 bytes, each acknowledged by all replicas.
fn write(tools: &KafkaTools, topic: &str, records: u32) {
    let records = records.to_string();
    let words = ["--topic", topic, "--num-records", &records, "--record-size", "50", "--throughput", "-1"];
    let acknowledged = ["--command-property", "acks=all", "enable.idempotence=true"];
    tools.run("ProducerPerformance", &[&words[..], &acknowledged[..]].concat()).unwrap_or_else(|e| panic!("{e}"));
}

/// Writes one record with kcat; whether it was acknowledged within seconds.
fn write_one(bootstrap: &str, topic: &str) -> bool {
    let script = "echo v | exec kcat -P -b \"$0\" -t \"$1\" -X acks=all -X message.timeout.ms=4000";
    let done = Command::new("sh").args(["-c", script, bootstrap, topic]).output().unwrap();
    done.status.success()
}

fn values(records: &[Record]) -> usize {
    records.iter().filter(|record| record.value.is_some()).count()
}

#[test]
fn a_broker_that_is_killed_comes_back_with_what_it_acknowledged() {
    let mut broker = broker(&KafkaOptions::default());
    broker.tools().create_topic("t", 1, &[]).unwrap();
    write(broker.tools(), "t", 100);
    broker.kill9().unwrap();
    broker.start_again().unwrap();
    let ends = broker.tool("GetOffsetShell", &["--topic", "t"]).unwrap();
    assert_eq!(ends.stdout.trim(), "t:0:100");
}

#[test]
fn a_cluster_that_loses_a_broker_goes_on_and_one_that_loses_two_refuses() {
    let mut cluster = KafkaCluster::start(programs(), &[]).unwrap_or_else(|e| panic!("{e}"));
    cluster.tools().create_topic("t", 1, &[]).unwrap();
    write(cluster.tools(), "t", 100);
    cluster.kill9(0).unwrap();
    write(cluster.tools(), "t", 100);
    cluster.kill9(1).unwrap();
    assert!(!write_one(&cluster.bootstrap(), "t"), "one of three brokers acknowledged a record");
    cluster.start_again(0).unwrap();
    write(cluster.tools(), "t", 100);
    cluster.start_again(1).unwrap();
    // The record that was refused may still have been written, and seen by nobody: it is above the high watermark.
    assert!(values(&cluster.tools().read("t").unwrap()) >= 300);
}

#[test]
fn clients_are_led_through_the_proxy_and_readers_are_not() {
    let broker = broker(&KafkaOptions { proxied: true, ..KafkaOptions::default() });
    broker.tools().create_topic("t", 1, &[]).unwrap();
    let proxied = broker.address(Door::Proxied);
    assert_eq!(proxied, format!("127.0.0.1:{}", broker.proxy().port()));
    assert!(write_one(&proxied, "t"));
    broker.proxy().stall();
    assert!(!write_one(&proxied, "t"));
    assert!(write_one(&broker.bootstrap(), "t"));
    broker.proxy().refuse();
    assert!(!write_one(&proxied, "t"));
    broker.proxy().resume();
    assert!(write_one(&proxied, "t"));
    // What was stalled may have been carried when the stall ended.
    assert!(values(&broker.tools().read("t").unwrap()) >= 3);
}

#[test]
fn a_broker_whose_disk_is_full_ends_and_comes_back_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), DISK_BYTES).unwrap() else {
        println!("NOT RUN: a file system of a limited size needs root");
        return;
    };
    let small = [("log.segment.bytes", "1048576"), ("log.index.size.max.bytes", "65536")];
    let data = Some(disk.path().join("data"));
    let mut broker = broker(&KafkaOptions { settings: &small, data, ..KafkaOptions::default() });
    broker.tools().create_topic("t", 1, &[]).unwrap();
    write(broker.tools(), "t", 100);
    disk.take(usize::MAX).unwrap();
    while write_one(&broker.bootstrap(), "t") {}
    assert!(!broker.process().wait(ENDS).unwrap().success());
    disk.give_back().unwrap();
    broker.start_again().unwrap();
    write(broker.tools(), "t", 100);
    assert!(values(&broker.tools().read("t").unwrap()) >= 200);
}

#[test]
fn a_broker_that_runs_already_is_taken_when_it_has_no_topics_and_left_so() {
    let running = broker(&KafkaOptions::default());
    let start = || KafkaBroker::start(&Place::from_text(&running.bootstrap()), programs());
    let taken = start().unwrap_or_else(|e| panic!("{e}"));
    for topic in ["shop.public.orders", "__debezium-heartbeat.shop"] {
        taken.tools().create_topic(topic, 1, &[]).unwrap();
    }
    assert_eq!(running.tools().topics().unwrap().len(), 2);
    drop(taken);
    assert_eq!(running.tools().topics().unwrap(), [""; 0]);
    running.tools().create_topic("somebodys", 1, &[]).unwrap();
    let refused = start().unwrap_err().to_string();
    assert!(refused.contains("has topics (somebodys)"), "{refused}");
    assert_eq!(running.tools().topics().unwrap(), ["somebodys"]);
}

/// Needs a producer with transactions; any will do.
#[cfg(feature = "kafka")]
mod readers {
    use rdkafka::ClientConfig;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::util::Timeout;

    use super::super::any_broker;
    use super::*;

    /// Every byte there is.
    fn all_bytes() -> Vec<u8> {
        (0..=u8::MAX).collect()
    }

    /// Partition, key, value, headers.
    type Made = (i32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn send(producer: &BaseProducer, (partition, key, value, headers): &Made) {
        let add = |all: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
            all.insert(Header { key, value: value.as_ref() })
        };
        let mut record = BaseRecord::<[u8], [u8]>::to("t").partition(*partition);
        record = record.headers(headers.iter().fold(OwnedHeaders::new(), add));
        record.key = key.as_deref();
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _record)| error).unwrap();
    }

    #[test]
    fn both_readers_bring_every_committed_record_whatever_its_bytes() {
        let broker = any_broker();
        broker.tools().create_topic("t", 3, &[]).unwrap();
        let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        let committed: [Made; 6] = [
            (0, Some(b"k".to_vec()), Some(br#"{"a":"\n\t\\"}"#.to_vec()), vec![]),
            (0, Some(b"k".to_vec()), None, vec![header("a", b"1,b=2:c"), header("a", b""), ("n".into(), None)]),
            (1, None, Some(b"\t".to_vec()), vec![header("h", &all_bytes())]),
            (1, Some(all_bytes()), Some(all_bytes()), vec![]),
            (1, Some(vec![]), Some(vec![]), vec![]),
            (1, Some(b"null".to_vec()), Some("\u{e9}\u{1F600}".into()), vec![header("NULL", b"NULL")]),
        ];
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap()).set("transactional.id", "x");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Timeout::Never).unwrap();
        producer.begin_transaction().unwrap();
        committed.iter().for_each(|record| send(&producer, record));
        producer.commit_transaction(Timeout::Never).unwrap();
        producer.begin_transaction().unwrap();
        committed.iter().for_each(|record| send(&producer, record));
        producer.flush(Timeout::Never).unwrap();
        producer.abort_transaction(Timeout::Never).unwrap();

        let read = broker.tools().read("t").unwrap_or_else(|e| panic!("{e}"));
        let found = |record: &Record| {
            let Record { partition, offset: _, key, value, headers } = record.clone();
            (partition, key, value, headers)
        };
        assert_eq!(read.iter().map(found).collect::<Vec<_>>(), committed);
        assert_eq!(broker.tools().read_with_java("t").unwrap_or_else(|e| panic!("{e}")), read);
    }
}
