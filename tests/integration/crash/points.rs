//! A kill at each failpoint of the program: in the middle of writes, syncs, renames, copies, roll-up transactions,
//! checkpoints, recoveries, deletions. A failpoint that is placed in the source and reached by none fails the test; those
//! of the Kafka sink are reached where there is a broker.

use std::time::Instant;

use rand::{Rng, SeedableRng};

use super::Stage;
use super::ways::{WAYS, Way};
use crate::common::failpoints::failpoints;
use crate::common::load::Dice;
use crate::common::{crash_time, seed};

#[test]
fn a_service_killed_at_any_failpoint_loses_and_doubles_nothing() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let points = failpoints(|name| !name.starts_with("kafka"));
    for (point, ..) in WAYS {
        assert!(points.contains(*point), "there is no failpoint {point}");
    }
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let mut stage = Stage::open(seed, |server| server.url());
    let mut missed = points.clone();
    let (started, time) = (Instant::now(), crash_time());
    loop {
        for point in &points {
            let (way, passings_max) = Way::to(point);
            let passing = if time.is_some() { dice.random_range(1..=passings_max) } else { 1 };
            if way.kill_at(&mut stage, &mut dice, point, passing) {
                missed.remove(point);
            }
            stage.recover();
        }
        if time.is_none_or(|time| started.elapsed() > time) {
            break;
        }
    }
    // A late passing may not come in time, and the first one does.
    missed.retain(|point| {
        let killed = time.is_some() && Way::to(point).0.kill_at(&mut stage, &mut dice, point, 1);
        stage.recover();
        !killed
    });
    assert!(missed.is_empty(), "failpoints that were not reached: {missed:?}");
    stage.close();
}
