//! Connections that are cut in mid-message, or freeze.

use std::time::Duration;

use pgtape::sandbox::Proxy;
use rand::{Rng, SeedableRng};

use super::{STOP, Stage};
use crate::common::load::Dice;
use crate::common::seed;

/// Cuts of one run.
const CUTS: u32 = 6;
/// The engines bring this many bytes soon.
const CUT_BYTES_MAX: u64 = 100_000;
/// How often it is looked whether the cut came.
const POLL: Duration = Duration::from_millis(10);

#[test]
fn connections_cut_in_mid_message_lose_and_double_nothing() {
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let mut proxy = None;
    let stage = Stage::open(seed, |server| proxy.insert(Proxy::start(server.port()).unwrap()).url(&server.url()));
    let proxy = proxy.unwrap();
    for _ in 0..CUTS {
        proxy.cut_after(dice.random_range(1..CUT_BYTES_MAX));
        while !proxy.was_cut() {
            std::thread::sleep(POLL);
        }
    }
    stage.close();
}

#[test]
fn a_stop_ends_while_postgres_hangs() {
    let mut proxy = None;
    let mut stage = Stage::open(seed(), |server| proxy.insert(Proxy::start(server.port()).unwrap()).url(&server.url()));
    let proxy = proxy.unwrap();
    proxy.stall();
    let ended = stage.service.terminate(STOP).unwrap_or_else(|e| panic!("{e}"));
    assert!(ended.is_some_and(|status| status.success()), "{}", stage.service.process().failure("did not end well"));
    proxy.resume();
    stage.recover();
    stage.close();
}
