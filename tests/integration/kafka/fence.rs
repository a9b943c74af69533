//! Who owns a sink: one instance at a time, also when the coordinator gave up on it.

use std::time::Duration;

use pgtape::sandbox::{KafkaOptions, ServiceProcess};
use rustix::process::Signal;

use super::stage::{Stage, config};
use super::{any_broker, broker};
use crate::common::seed;

/// The exit code of who finds that another one has its place.
const LOCKED: i32 = 8;
/// A fenced instance waits some seconds for its successor to say who it is.
const ENDS: Duration = Duration::from_secs(60);
/// Transactions time out after two seconds, and the coordinator looks twice a second.
const FROZEN: Duration = Duration::from_secs(5);

#[test]
fn the_older_of_two_with_one_sink_is_fenced_and_ends_saying_so() {
    let broker = any_broker();
    let first = config(&broker.bootstrap(), "");
    let mut stage = Stage::open(seed(), &first);
    stage.load();
    let slot = "[source]\nslot = \"second\"\n";
    // Its tape begins later than the first one's, and before where the sink stands when it takes over.
    let second = stage.another("second", &format!("sinks = [\"standby\"]\n{slot}"));
    let mut other = ServiceProcess::start(second).unwrap();
    other.wait_ready(ENDS).unwrap_or_else(|e| panic!("{e}"));
    stage.wait_produced();
    other.kill9().unwrap();
    other.start_as(stage.another("second", &format!("{slot}{first}"))).unwrap();
    let ended = stage.service.process().wait(ENDS).unwrap_or_else(|e| panic!("{e}\n{}", other.log()));
    let said = stage.service.log();
    assert_eq!(ended.code(), Some(LOCKED), "{said}");
    assert!(said.contains("another pgtape has taken over the Kafka sink"), "{said}");
    stage.service = other;
    stage.settle();
    stage.check(broker.tools());
}

#[test]
fn transactions_that_the_coordinator_gave_up_lose_and_double_nothing() {
    let impatient = [("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500")];
    let broker = broker(&KafkaOptions { settings: &impatient, ..KafkaOptions::default() });
    let text =
        config(&broker.bootstrap(), "").replace("transaction_timeout = \"10 s\"", "transaction_timeout = \"2 s\"");
    let mut stage = Stage::open(seed(), &text);
    stage.load();
    if fail::has_failpoints() {
        let unarmed = stage.service.service().clone();
        let late = format!("kafka::before-commit=1*sleep({})", FROZEN.as_millis());
        stage.service.start_as(unarmed.clone().env("PGTAPE_FAILPOINTS", &late)).unwrap();
        stage.wait_until("a transaction was given up", |stage| stage.service.log().contains("no longer ours"));
        stage.service.set(unarmed);
    }
    stage.wait_produced();
    stage.service.process().signal(Signal::STOP);
    std::thread::sleep(FROZEN); // What is waited for is the coordinator's patience.
    stage.service.process().signal(Signal::CONT);
    stage.settle();
    stage.check(broker.tools());
}
