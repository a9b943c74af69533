//! Kills at random moments.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};

use super::Stage;
use crate::common::load::Dice;
use crate::common::{crash_time, seed};

/// Kills of the short form.
const ROUNDS: u32 = 5;
/// A life is at most this long; the shortest end before the service is ready.
const LIFE_MAX: Duration = Duration::from_millis(3000);

#[test]
fn a_service_killed_at_random_moments_loses_and_doubles_nothing() {
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let mut stage = Stage::open(seed, |server| server.url());
    let (started, time) = (Instant::now(), crash_time());
    let mut round = 0;
    while time.map_or(round < ROUNDS, |time| started.elapsed() < time) {
        // One life after another without a look in between: recovery itself is interrupted.
        for _ in 0..dice.random_range(1..=3) {
            std::thread::sleep(LIFE_MAX * dice.random_range(0..100) / 100); // When the blow falls is chance.
            stage.service.kill9().unwrap();
            stage.service.start_again().unwrap();
        }
        if dice.random_range(0..3) == 0 {
            stage.server.stop_immediate().unwrap();
            stage.server.start_again().unwrap();
        }
        stage.recover();
        round += 1;
    }
    println!("{round} rounds");
    stage.close();
}
