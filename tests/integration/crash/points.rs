//! A kill at each failpoint of the program: in the middle of writes, syncs, renames, copies, roll-up transactions,
//! checkpoints, recoveries, deletions. A failpoint that is placed in the source and reached by none fails the test.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use rand::{Rng, SeedableRng};

use super::Stage;
use super::ways::{WAYS, Way};
use crate::common::load::Dice;
use crate::common::{crash_time, seed};

/// Every failpoint of the source, by the macros that place them.
fn points() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            for place in ["fail_point!(\"", "fail_here!(\""] {
                let names = text.split(place).skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
}

#[test]
fn a_service_killed_at_any_failpoint_loses_and_doubles_nothing() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let points = points();
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
