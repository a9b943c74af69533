//! Brokers that are away, full, or refuse a record; topics that are deleted.

use std::time::Duration;

use pgtape::model::Lsn;
use pgtape::sandbox::{KafkaOptions, Record, SmallDisk};

use super::stage::{PREFIX, Stage, config, topic};
use super::{any_broker, broker};
use crate::common::seed;

/// Longer than a broker without space goes on.
const ENDS: Duration = Duration::from_secs(120);
/// The whole disk of a broker: most of it is taken away.
const DISK_BYTES: u64 = 160 << 20;

fn lsn(stage: &Stage, sql: &str) -> Lsn {
    stage.server.psql(sql).unwrap().trim().parse().unwrap()
}

#[test]
fn kafka_away_holds_no_wal_and_is_caught_up_with() {
    let mut broker = broker(&KafkaOptions::default());
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    stage.load();
    stage.wait_produced();
    broker.kill9().unwrap();
    let stood = stage.committed();
    for _ in 0..3 {
        let now = lsn(&stage, "SELECT pg_current_wal_insert_lsn()");
        let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pgtape'";
        stage.wait_until("the slot goes on", |stage| lsn(stage, confirmed) > now);
    }
    // The transaction that was being committed when the broker went may be the last that it holds.
    let stands = stage.committed();
    assert!(
        stands.is_some_and(|stands| stood.is_some_and(|stood| stands.lsn.0 - stood.lsn.0 < 16 << 20)),
        "{stands:?}"
    );
    broker.start_again().unwrap();
    stage.settle();
    stage.check(broker.tools());
}

#[test]
fn a_broker_whose_disk_was_full_has_everything_once() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), DISK_BYTES).unwrap() else {
        println!("NOT RUN: a file system of a limited size needs root");
        return;
    };
    let small = [("log.segment.bytes", "1048576"), ("log.index.size.max.bytes", "65536")];
    let data = Some(disk.path().join("data"));
    let mut broker = broker(&KafkaOptions { settings: &small, data, ..KafkaOptions::default() });
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    stage.load();
    stage.wait_produced();
    disk.take(usize::MAX).unwrap();
    assert!(!broker.process().wait(ENDS).unwrap_or_else(|e| panic!("{e}")).success());
    disk.give_back().unwrap();
    broker.start_again().unwrap();
    stage.settle();
    stage.check(broker.tools());
}

#[test]
fn a_topic_deleted_under_the_sink_is_named_and_nothing_is_produced_around_it() {
    let broker = any_broker();
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    stage.load();
    stage.wait_produced();
    let deleted = topic("shop.items");
    broker.tools().run("TopicCommand", &["--delete", "--topic", &deleted]).unwrap();
    stage.wait_until("the topic is named", |stage| stage.trouble().contains(&format!("{deleted} is gone")));
    let stands = stage.committed();
    let now = lsn(&stage, "SELECT pg_current_wal_insert_lsn()");
    let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pgtape'";
    stage.wait_until("the tape goes on", |stage| lsn(stage, confirmed) > now);
    assert_eq!(stage.committed(), stands);
}

#[test]
fn progress_that_is_gone_is_told_and_nothing_begins_anew_by_itself() {
    let broker = any_broker();
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    stage.load();
    // The position is noted beside the tape every few seconds.
    let notes = stage.data_dir().join("kafka");
    stage.wait_until("the position is noted", |_| std::fs::read_dir(&notes).is_ok_and(|files| files.count() > 0));
    stage.settle();
    stage.service.kill9().unwrap();
    let records = |table: &str| broker.tools().read(&topic(table)).unwrap().len();
    let before = (records("shop.orders"), records("shop.items"));
    broker.tools().run("TopicCommand", &["--delete", "--topic", "pgtape.progress"]).unwrap();
    stage.service.start_again().unwrap();
    stage.wait_until("the loss is told", |stage| stage.trouble().contains("is gone from pgtape.progress"));
    assert_eq!((records("shop.orders"), records("shop.items")), before);
}

#[test]
fn a_record_that_the_broker_refuses_as_too_large_is_put_aside_and_the_others_go_on() {
    let broker = any_broker();
    broker.tools().create_topic(&topic("shop.orders"), 3, &["max.message.bytes=20000"]).unwrap();
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    stage.load();
    stage.wait_produced();
    // Longer than the topic takes, shorter than the sink is bound to.
    let large = "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 2000)";
    stage.server.psql(&format!("INSERT INTO shop.orders SELECT 1000000, 0, ({large})")).unwrap();
    stage.wait_produced();
    let put_aside = broker.tools().read(&format!("{PREFIX}.quarantine")).unwrap();
    let said: Vec<_> = put_aside.iter().map(Record::json).collect();
    assert!(said.len() == 1 && said[0].to_string().contains("its topic takes 20000"), "{said:?}");
    stage.server.psql("DELETE FROM shop.orders WHERE id = 1000000").unwrap();
    stage.settle();
    // Downstream sees the delete of a row that it never had.
    stage.server.psql("DELETE FROM proof.journal WHERE id = 1000000 AND op = 'c'").unwrap();
    stage.check(broker.tools());
}
