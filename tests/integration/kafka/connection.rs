//! Connections to the broker that are cut in mid-message, or freeze.

use std::time::Duration;

use pgtape::sandbox::{Door, KafkaOptions};
use rand::{Rng, SeedableRng};

use super::broker;
use super::stage::{Stage, config};
use crate::common::load::Dice;
use crate::common::seed;

/// Cuts of one run.
const CUTS: u32 = 6;
/// The broker answers with this many bytes soon.
const CUT_BYTES_MAX: u64 = 3000;
/// How often it is looked whether the cut came.
const POLL: Duration = Duration::from_millis(10);
/// Longer than the transactions of the tests may take.
const STALL: Duration = Duration::from_secs(12);

#[test]
fn connections_cut_in_mid_message_lose_and_double_nothing() {
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let broker = broker(&KafkaOptions { proxied: true, ..KafkaOptions::default() });
    let mut stage = Stage::open(seed, &config(&broker.address(Door::Proxied), ""));
    stage.load();
    for _ in 0..CUTS {
        broker.proxy().cut_after(dice.random_range(1..CUT_BYTES_MAX));
        while !broker.proxy().was_cut() {
            std::thread::sleep(POLL);
        }
    }
    stage.settle();
    stage.check(broker.tools());
}

#[test]
fn connections_that_freeze_for_longer_than_a_transaction_lose_and_double_nothing() {
    let broker = broker(&KafkaOptions { proxied: true, ..KafkaOptions::default() });
    let mut stage = Stage::open(seed(), &config(&broker.address(Door::Proxied), ""));
    stage.load();
    stage.wait_produced();
    broker.proxy().stall();
    std::thread::sleep(STALL); // What is waited for is the coordinator's patience, and the client's.
    broker.proxy().cut();
    stage.settle();
    stage.check(broker.tools());
}
