//! A kill at each failpoint of the program: in the middle of writes, syncs, renames, the first copy, roll-up transactions,
//! checkpoints.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};

use super::{READY, STOP, Stage};
use crate::common::load::Dice;
use crate::common::{crash_time, seed};

/// A point that the load does not reach within this time is not on its way.
const REACH: Duration = Duration::from_secs(3);
/// The short form looks after every so many points: what is wrong stays wrong.
const VERIFY_EVERY: usize = 5;
/// In the long form the point kills at a random passing up to this.
const PASSINGS_MAX: u64 = 50;

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
    assert!(!points.is_empty());
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let mut stage = Stage::open(seed, |server| server.url());
    let mut missed = BTreeSet::new();
    let (started, time) = (Instant::now(), crash_time());
    loop {
        for (number, point) in points.iter().enumerate() {
            let passing = if time.is_some() { dice.random_range(1..=PASSINGS_MAX) } else { 1 };
            if !killed_at(&mut stage, point, passing) {
                missed.insert(point.clone());
            }
            if time.is_some() || number % VERIFY_EVERY == 0 {
                stage.verify();
            }
        }
        stage.verify();
        if time.is_none_or(|time| started.elapsed() > time) {
            break;
        }
    }
    // What running does not reach, the first copy may.
    missed.retain(|point| !killed_in_first_copy(&mut stage, point));
    println!("not reached: {missed:?}");
    assert!(missed.len() * 2 < points.len(), "most failpoints are not reached: {missed:?}");
    stage.close();
}

/// Restarts the service with the point armed; whether it was killed there.
fn killed_at(stage: &mut Stage, point: &str, passing: u64) -> bool {
    stage.service.kill9().unwrap();
    start_armed(stage, &format!("{point}=kill@{passing}"));
    let killed = stage.service.process().wait(REACH).is_ok();
    disarm(stage);
    killed
}

/// As [`killed_at`], without tape and slot: the service copies the tables first. Then it does so unharmed, and whatever
/// the cut copy left must not count twice.
fn killed_in_first_copy(stage: &mut Stage, point: &str) -> bool {
    stage.service.terminate(STOP).unwrap();
    std::fs::remove_dir_all(&stage.service.service().data_dir).unwrap();
    stage.server.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots").unwrap();
    start_armed(stage, &format!("{point}=kill@1"));
    let killed = stage.service.process().wait(REACH).is_ok();
    disarm(stage);
    stage.recover();
    killed
}

fn start_armed(stage: &mut Stage, specification: &str) {
    let mut service = stage.service.service().clone();
    service.environment.push(("PGTAPE_FAILPOINTS".into(), specification.into()));
    stage.service.start_as(service).unwrap();
}

fn disarm(stage: &mut Stage) {
    let mut service = stage.service.service().clone();
    service.environment.clear();
    stage.service.start_as(service).unwrap();
    stage.service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
}
