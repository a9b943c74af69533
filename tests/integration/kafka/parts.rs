//! Copies and replays killed with SIGKILL at each failpoint on their way: what they leave is whole, and holds nothing twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgtape::sandbox::{KafkaBroker, PrivatePostgres, Process, Record, Service, ServiceProcess};
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::any_broker;
use super::crash::kill_at;
use crate::common::failpoints::failpoints;
use crate::common::load::Dice;
use crate::common::{crash_time, seed, server};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the sink is asked.
const POLL: Duration = Duration::from_millis(50);
/// Rows, and source transactions that they come in.
const ROWS: usize = 1500;
const TRANSACTIONS: usize = 30;
/// Kafka transactions have so many records, so that there are enough of them to be killed in.
const RECORDS: usize = 50;
/// A commit that is among those of a copy or a replay, and not the last.
const COMMITS_MAX: u64 = 15;

struct Rig {
    postgres: PrivatePostgres,
    broker: KafkaBroker,
    directory: TempDir,
}

impl Rig {
    /// Rows that wait for a reader.
    fn open() -> Self {
        let (postgres, broker, directory) = (server(&[]), any_broker(), tempfile::tempdir().unwrap());
        postgres.psql("CREATE SCHEMA shop; CREATE TABLE shop.items (id int PRIMARY KEY, v text NOT NULL)").unwrap();
        Self { postgres, broker, directory }
    }

    fn insert(&self) {
        let many = |part: usize| {
            let (first, last) = (part * ROWS / TRANSACTIONS, (part + 1) * ROWS / TRANSACTIONS - 1);
            format!("INSERT INTO shop.items SELECT n, 'v' || n FROM generate_series({first}, {last}) AS n;\n")
        };
        self.postgres.psql(&(0..TRANSACTIONS).map(many).collect::<String>()).unwrap();
    }

    /// A service whose sink is another one with each prefix.
    fn service(&self, prefix: &str, initial: &str) -> Service {
        let data = self.directory.path().join("data");
        let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &self.postgres.url(), &data).unwrap();
        let brokers = self.broker.bootstrap();
        let config = format!(
            "[[kafka]]\nbrokers = \"{brokers}\"\ntopic_prefix = \"{prefix}\"\ninitial = \"{initial}\"\n\
             transaction_records = {RECORDS}\n[kafka.properties]\n\"linger.ms\" = \"0\"\n"
        );
        service.tables("shop.items").config(&config).unwrap()
    }

    /// What a topic holds, each record once.
    fn read(&self, topic: &str) -> Vec<Record> {
        let records = self.broker.tools().read(topic).unwrap_or_else(|e| panic!("{e}"));
        let places: BTreeSet<_> = records.iter().map(place).collect();
        assert_eq!(places.len(), records.len(), "{topic} holds records twice");
        records
    }
}

fn place(record: &Record) -> (String, String) {
    let header = |name| record.header(name).unwrap().to_owned();
    (header("pgtape.position"), header("pgtape.part"))
}

/// Waits until the sink has produced so many records, over all its sessions.
fn wait_for(service: &ServiceProcess, records: usize) {
    let started = Instant::now();
    let produced = || service.get("/v1/status").ok()?.json()["kafka"][0]["records"].as_u64();
    while produced() < Some(records as u64) {
        assert!(started.elapsed() < PATIENCE, "{:?} of {records}\n{}", produced(), service.log());
        std::thread::sleep(POLL);
    }
}

/// The command that replays everything up to `to`.
fn replay_to<'a>(to: &'a str, suffix: &'a str) -> [&'a str; 12] {
    ["kafka", "replay", "kafka", "--from", "oldest", "--to", to, "--topic-suffix", suffix, "--yes", "--reason", "test"]
}

/// Whether a point that every sink passes is among those to be killed at: in the short form the two around a commit.
pub fn is_of_all(point: &str) -> bool {
    match crash_time() {
        None => ["kafka::before-commit", "kafka::after-commit"].contains(&point),
        Some(_) => point.starts_with("kafka::"),
    }
}

/// The points on the way, with a passing that is on it too.
fn points_of(own: &str, dice: &mut Dice) -> Vec<(String, u64)> {
    let points = failpoints(|name| name.starts_with("kafka"));
    assert!(points.iter().any(|name| name.starts_with(own)), "{points:?}");
    let on_the_way = points.into_iter().filter(|name| name.starts_with(own) || is_of_all(name));
    let passing = |name: &str, dice: &mut Dice| match name {
        "kafka-copy::middle" => dice.random_range(1..ROWS as u64),
        // Once a session.
        "kafka::before-mark" => 1,
        name if name.starts_with("kafka::") => dice.random_range(1..COMMITS_MAX),
        _ => 1,
    };
    on_the_way.map(|name| (name.clone(), passing(&name, dice))).collect()
}

#[test]
fn a_copy_killed_at_any_failpoint_brings_each_row_once_and_goes_on() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let mut dice = Dice::seed_from_u64(seed());
    let rig = Rig::open();
    rig.insert();
    let mut service = ServiceProcess::start(rig.service("none", "now").argument("--sinks=standby")).unwrap();
    service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
    let mut rows = ROWS;
    for (number, (point, passing)) in points_of("kafka-copy::", &mut dice).iter().enumerate() {
        println!("{point} at passing {passing}");
        let prefix = format!("copy{number}");
        service.kill9().unwrap();
        service.set(rig.service(&prefix, "copy"));
        assert!(kill_at(&mut service, point, *passing), "nothing led to {point}\n{}", service.log());
        service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
        wait_for(&service, rows);
        rig.postgres.psql(&format!("INSERT INTO shop.items VALUES ({rows}, 'later')")).unwrap();
        rows += 1;
        wait_for(&service, rows);
        let records = rig.read(&format!("{prefix}.shop.items"));
        let op = |record: &Record| record.json()["op"].as_str().unwrap().to_owned();
        let id = |record: &Record| record.json()["after"]["id"].as_u64().unwrap() as usize;
        assert_eq!(records.iter().map(id).collect::<BTreeSet<_>>(), (0..rows).collect());
        let (copied, later): (Vec<_>, Vec<_>) = records.iter().partition(|record| op(record) == "r");
        assert_eq!((copied.len(), later.len()), (rows - 1, 1));
        assert_eq!((op(later[0]), id(later[0])), ("c".to_owned(), rows - 1));
    }
}

#[test]
fn a_replay_killed_at_any_failpoint_and_started_again_brings_each_record_once() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let mut dice = Dice::seed_from_u64(seed());
    let rig = Rig::open();
    let mut service = ServiceProcess::start(rig.service("shop", "earliest")).unwrap();
    service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
    rig.insert();
    wait_for(&service, ROWS);
    let places = |topic: &str| rig.read(topic).iter().map(place).collect::<BTreeSet<_>>();
    let all = places("shop.shop.items");
    assert_eq!(all.len(), ROWS);
    let to = rig.postgres.psql("SELECT pg_current_wal_insert_lsn()").unwrap().trim().to_owned();
    rig.postgres.psql("INSERT INTO shop.items VALUES (-1, 'after it')").unwrap();
    wait_for(&service, ROWS + 1);
    for (number, (point, passing)) in points_of("kafka-replay::", &mut dice).iter().enumerate() {
        println!("{point} at passing {passing}");
        let suffix = format!(".again{number}");
        let words = replay_to(&to, &suffix);
        let armed = service.service().clone().env("PGTAPE_FAILPOINTS", &format!("{point}=kill@{passing}"));
        let killed = armed.finish(&words).unwrap();
        assert_eq!(killed.code, None, "nothing led to {point}: {}", killed.stderr);
        let done = service.service().finish(&words).unwrap();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(places(&format!("shop.shop.items{suffix}")), all);
    }
    // Told to stop it does not say that it is done, and goes on when it is started again.
    let words = replay_to(&to, ".cut");
    let slow = service.service().clone().env("PGTAPE_FAILPOINTS", "kafka::before-commit=sleep(1000)");
    let log = rig.directory.path().join("replay.log");
    let mut replay = Process::start("the replay", slow.command(&words), &log).unwrap();
    let started = Instant::now();
    while !rig.broker.tools().topics().unwrap().contains(&"shop.shop.items.cut".to_owned()) {
        assert!(started.elapsed() < PATIENCE, "{}", replay.output());
        std::thread::sleep(POLL);
    }
    let status = replay.terminate(PATIENCE).unwrap().unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {}", replay.output());
    assert!(replay.output().contains("cut short"), "{}", replay.output());
    assert!(places("shop.shop.items.cut").len() < ROWS);
    let done = service.service().finish(&words).unwrap();
    assert_eq!((done.code, places("shop.shop.items.cut")), (Some(0), all));
    let refused = service.service().finish(&["kafka", "replay", "kafka", "--from", "oldest", "--topic-suffix", "/x"]);
    assert_eq!(refused.unwrap().code, Some(2));
}
