//! The sink killed with SIGKILL at each of its failpoints, and everything killed at random moments: the topics hold each
//! change once, in order, and lead to the rows that Postgres has.

use std::time::{Duration, Instant};

use pgtape::sandbox::{Door, KafkaOptions, PrivateKafka, ServiceProcess};
use rand::{Rng, SeedableRng};

use super::broker;
use super::stage::{Stage, config};
use crate::common::failpoints::failpoints;
use crate::common::load::Dice;
use crate::common::{crash_time, seed};

/// The load brings a first passing within seconds.
const REACH: Duration = Duration::from_secs(30);
/// A late passing that does not come within this time is given up.
const REACH_LATE: Duration = Duration::from_secs(5);
const PASSINGS_MAX: u64 = 30;
/// Kills of the short form.
const ROUNDS: u32 = 6;
/// A life is at most this long; the shortest end before the sink has its id.
const LIFE_MAX: Duration = Duration::from_millis(3000);
/// A stop by request ends within this time.
const STOP: Duration = Duration::from_secs(30);
/// How often it is looked whether the service is gone.
const POLL: Duration = Duration::from_millis(10);
/// Records are on their way at once, before the progress that speaks of them: a kill in between must not show them.
const AT_ONCE: &str = "[kafka.properties]\n\"linger.ms\" = \"0\"\n";
/// The broker answers with this many bytes within a second.
const CUT_BYTES_MAX: u64 = 4000;

/// Starts the service with a point armed, and again unharmed when it is gone; whether it was within the time.
pub fn kill_at(service: &mut ServiceProcess, point: &str, passing: u64) -> bool {
    let unarmed = service.service().clone();
    let armed = unarmed.clone().env("PGTAPE_FAILPOINTS", &format!("{point}=kill@{passing}"));
    service.start_as(armed).unwrap();
    let (started, limit) = (Instant::now(), if passing == 1 { REACH } else { REACH_LATE });
    let gone = loop {
        if let Some(status) = service.process().ended().unwrap() {
            assert_eq!(status.code(), None, "{}", service.process().failure("was not killed but ended"));
            break true;
        }
        if started.elapsed() > limit {
            break false;
        }
        std::thread::sleep(POLL);
    };
    service.start_as(unarmed).unwrap();
    gone
}

#[test]
fn a_sink_killed_at_any_failpoint_loses_and_doubles_nothing() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let points = failpoints(|name| name.starts_with("kafka::"));
    assert!(points.len() >= 5, "{points:?}");
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let broker = broker(&KafkaOptions::default());
    let mut stage = Stage::open(seed, &config(&broker.bootstrap(), AT_ONCE));
    stage.load();
    let (started, time) = (Instant::now(), crash_time());
    loop {
        for point in &points {
            let passing = dice.random_range(1..=PASSINGS_MAX);
            let late = passing > 1 && kill_at(&mut stage.service, point, passing);
            assert!(late || kill_at(&mut stage.service, point, 1), "nothing led to {point}");
        }
        if time.is_none_or(|time| started.elapsed() > time) {
            break;
        }
        stage.settle();
        stage.check(broker.tools());
        stage.load();
    }
    stage.settle();
    stage.check(broker.tools());
    stage.check_with_java(broker.tools());
}

/// Something that happens to a service and its broker.
fn strike(stage: &mut Stage, broker: &mut PrivateKafka, dice: &mut Dice) -> &'static str {
    let some_time = LIFE_MAX * dice.random_range(0..100) / 100;
    match dice.random_range(0..6) {
        0 | 1 => {
            stage.service.kill9().unwrap();
            stage.service.start_again().unwrap();
            "the service was killed"
        }
        2 => {
            broker.kill9().unwrap();
            broker.start_again().unwrap();
            "the broker was killed"
        }
        3 => {
            broker.proxy().cut_after(dice.random_range(1..CUT_BYTES_MAX));
            "the connections were cut"
        }
        4 => {
            broker.proxy().stall();
            std::thread::sleep(some_time); // Long enough for some timeouts, too short for others.
            broker.proxy().resume();
            "the connections were stalled"
        }
        _ => {
            stage.service.terminate(STOP).unwrap();
            stage.service.start_again().unwrap();
            "the service was stopped"
        }
    }
}

#[test]
fn a_sink_struck_at_random_moments_loses_and_doubles_nothing() {
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let mut broker = broker(&KafkaOptions { proxied: true, ..KafkaOptions::default() });
    let mut stage = Stage::open(seed, &config(&broker.address(Door::Proxied), ""));
    let (started, time) = (Instant::now(), crash_time());
    let mut round = 0;
    while time.map_or(round < ROUNDS, |time| started.elapsed() < time) {
        stage.load();
        std::thread::sleep(LIFE_MAX * dice.random_range(0..100) / 100); // When the blow falls is chance.
        println!("{:>6} ms: {}", started.elapsed().as_millis(), strike(&mut stage, &mut broker, &mut dice));
        round += 1;
        if time.is_some() && round % ROUNDS == 0 {
            stage.settle();
            stage.check(broker.tools());
        }
    }
    stage.settle();
    stage.check(broker.tools());
    stage.check_with_java(broker.tools());
}
