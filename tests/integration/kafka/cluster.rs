//! Three brokers, one of which is always lost.

use pgtape::sandbox::KafkaCluster;

use super::programs;
use super::stage::{Stage, config};
use crate::common::{crash_time, seed};

#[test]
fn a_cluster_that_loses_a_broker_in_mid_load_loses_and_doubles_nothing() {
    let mut cluster = KafkaCluster::start(programs(), &[]).unwrap_or_else(|e| panic!("{e}"));
    let seed = seed();
    let mut stage = Stage::open(seed, &config(&cluster.bootstrap(), ""));
    stage.load();
    // The short form loses one, which one is chance; the long form each in turn.
    let lost = seed % cluster.size() as u64;
    for broker in (0..cluster.size()).filter(|broker| crash_time().is_some() || *broker as u64 == lost) {
        stage.wait_produced();
        cluster.kill9(broker).unwrap();
        println!("broker {broker} was killed");
        stage.wait_produced();
        cluster.start_again(broker).unwrap_or_else(|e| panic!("{e}"));
    }
    stage.settle();
    stage.check(cluster.tools());
    let described = cluster.tools().run("TopicCommand", &["--describe", "--exclude-internal"]).unwrap().stdout;
    let replicated = |line: &&str| line.contains("ReplicationFactor: 3");
    let topics = described.lines().filter(|line| line.contains("ReplicationFactor:"));
    assert!(topics.clone().count() >= 3 && topics.clone().all(|line| replicated(&line)), "{described}");
}
