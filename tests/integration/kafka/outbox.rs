//! An outbox from the insert to the topic and back to the row: once, in order, whoever is killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pgtape::sandbox::{KafkaBroker, PrivatePostgres, Record, Service, ServiceProcess};
use serde_json::Value;
use tempfile::TempDir;

use super::any_broker;
use super::crash::kill_at;
use super::parts::is_of_all;
use crate::common::failpoints::failpoints;
use crate::common::{assert_verified, server, url_as};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// The sink marks as this role, which may do nothing else.
const MARKER: &str = "pgtape_outbox";

/// The gateway's table as docs/OUTBOX.md configures it, with attempts that fail soon.
const CONFIG: &str = r#"
sinks = ["standby", "kafka"]
[[kafka]]
name = "events"
brokers = "BROKERS"
topic_prefix = "gateway"
message_max = "2 KiB"
transaction_bytes = "1 MiB"
[kafka.outbox]
table = "meltica.events_outbox"
attempts_max = 2
backoff_first = "50 ms"
url = "MARKER"
[kafka.outbox.columns]
aggregate_type = "aggregate_type"
aggregate_id = "aggregate_id"
event_type = "event_type"
headers = "headers"
available_at = "available_at"
delivered = "delivered"
status = "status"
published_at = "published_at"
attempts = "attempts"
last_error = "last_error"
claimed_at = "claimed_at"
"#;

struct Rig {
    pg: PrivatePostgres,
    kafka: KafkaBroker,
    service: ServiceProcess,
    _directory: TempDir,
}

impl Rig {
    fn start() -> Self {
        let (pg, kafka, directory) = (server(&[]), any_broker(), tempfile::tempdir().unwrap());
        let data: PathBuf = directory.path().join("data");
        let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &pg.url(), &data).unwrap();
        let migrated = service.finish(&["migrate", "up"]).unwrap();
        assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
        pg.psql(&format!("ALTER ROLE {MARKER} PASSWORD '{MARKER}'")).unwrap();
        let config = CONFIG.replace("BROKERS", &kafka.bootstrap()).replace("MARKER", &url_as(&pg.url(), MARKER));
        let service = service.tables("meltica.*").config(&config).unwrap();
        let mut service = ServiceProcess::start(service).unwrap_or_else(|e| panic!("{e}"));
        service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
        Self { pg, kafka, service, _directory: directory }
    }

    /// An event of an aggregate, available after some time; answers its id.
    fn insert(&self, aggregate: &str, payload: &str, after: &str) -> String {
        let insert = format!(
            "INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload, headers, available_at) \
             VALUES ('order', '{aggregate}', 'order.placed', '{payload}', '{{\"trace\": \"t 1\"}}', \
             now() + interval '{after}') RETURNING id"
        );
        self.pg.psql(&insert).unwrap().lines().next().unwrap().trim().to_owned()
    }

    fn ask(&self, sql: &str) -> String {
        self.pg.psql(sql).unwrap().trim().to_owned()
    }

    /// Until this many rows are not as they are to be: none.
    fn wait_for_none(&self, condition: &str) {
        let begun = Instant::now();
        let sql = format!("SELECT count(*) FROM meltica.events_outbox WHERE {condition}");
        while self.ask(&sql) != "0" {
            assert!(begun.elapsed() < PATIENCE, "{condition}\n{}", self.service.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_until_marked(&self) {
        self.wait_for_none("NOT delivered AND status <> 'dead'");
    }

    fn read(&self, topic: &str) -> Vec<Record> {
        self.kafka.tools().read(topic).unwrap_or_else(|e| panic!("{e}\n{}", self.service.log()))
    }

    /// Ids of an aggregate's events, in their order.
    fn ids(&self, aggregate: &str) -> Vec<String> {
        let of = |record: &Record| record.key.as_deref() == Some(aggregate.as_bytes());
        let records = self.read("outbox.event.order").into_iter().filter(of);
        records.map(|record| record.header("id").unwrap().to_owned()).collect()
    }

    fn command(&self, verb: &[&str]) -> Value {
        let finished = self.service.service().finish(&[&["outbox", "--json"], verb].concat()).unwrap();
        assert_eq!(finished.code, Some(0), "{verb:?}: {}\n{}", finished.stderr, self.service.log());
        finished.json()
    }

    fn get(&self, path: &str) -> Value {
        let reply = self.service.get(path).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }
}

#[test]
fn an_event_goes_once_in_order_and_its_row_says_so() {
    let mut rig = Rig::start();
    let first = rig.insert("a", r#"{"n": 1}"#, "0 s");
    let late = rig.insert("b", r#"{"n": 2}"#, "3 s");
    let behind = rig.insert("b", r#"{"n": 3}"#, "0 s");
    let second = rig.insert("a", r#"{"n": 4}"#, "0 s");
    rig.wait_for_none(&format!("id IN ({first}, {second}) AND NOT delivered"));
    let parked = rig.get("/v1/outbox?state=parked");
    let parked: Vec<&str> = parked["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(parked.is_empty() || parked == [&late, &behind], "{parked:?}");
    rig.wait_until_marked();
    assert_eq!((rig.ids("a"), rig.ids("b")), (vec![first.clone(), second], vec![late.clone(), behind]));
    let too_early = format!("SELECT published_at < available_at FROM meltica.events_outbox WHERE id = {late}");
    assert_eq!(rig.ask(&too_early), "f");
    let said = "SELECT status, attempts, last_error IS NULL, claimed_at IS NULL FROM meltica.events_outbox";
    assert_eq!(rig.ask(&format!("{said} WHERE id = {first}")), "delivered|1|t|t");
    let records = rig.read("outbox.event.order");
    let record = records.iter().find(|record| record.header("id") == Some(&first)).unwrap();
    assert_eq!(record.json()["n"], 1);
    assert_eq!((record.header("eventType"), record.header("trace")), (Some("order.placed"), Some("t 1")));
    assert!(record.header("pgtape.position").is_some() && record.header("pgtape.part") == Some("0"));

    // Killed, and started again: nothing goes twice, and what was inserted meanwhile goes.
    rig.service.kill9().unwrap();
    let meanwhile = rig.insert("a", r#"{"n": 5}"#, "0 s");
    rig.service.start_again().unwrap();
    rig.wait_until_marked();
    assert_eq!(rig.ids("a").last(), Some(&meanwhile));
    assert_eq!(rig.read("outbox.event.order").len(), 5);

    // Retried: once more, and marked once more.
    let retried = rig.command(&["retry", "--id", &first, "--yes", "--reason", "test"]);
    assert_eq!(retried["retried"], 1, "{retried}");
    rig.wait_until_marked();
    assert_eq!(rig.ids("a").iter().filter(|id| **id == first).count(), 2);

    let purged = rig.command(&["purge", "--older-than", "0 s", "--yes", "--reason", "test"]);
    assert_eq!(
        (purged["purged"].as_u64(), rig.ask("SELECT count(*) FROM meltica.events_outbox").as_str()),
        (Some(5), "0")
    );
    assert_verified(&rig.service);
}

#[test]
fn an_outbox_killed_at_any_failpoint_delivers_each_event_once_and_marks_it() {
    if !fail::has_failpoints() {
        println!("NOT RUN: build with --features failpoints, as make test does");
        return;
    }
    let points = failpoints(|name| name.starts_with("kafka-outbox::") || is_of_all(name));
    assert!(points.iter().filter(|name| name.starts_with("kafka-outbox::")).count() >= 2, "{points:?}");
    let mut rig = Rig::start();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for point in &points {
        rig.service.kill9().unwrap();
        a.extend([rig.insert("a", "{}", "0 s"), rig.insert("a", "{}", "0 s")]);
        // It holds back what comes after it, also over the kill.
        b.extend([rig.insert("b", "{}", "1 s"), rig.insert("b", "{}", "0 s")]);
        assert!(kill_at(&mut rig.service, point, 1), "nothing led to {point}\n{}", rig.service.log());
        rig.service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
        rig.wait_until_marked();
    }
    assert_eq!((rig.ids("a"), rig.ids("b")), (a, b));
    assert_eq!(rig.ask("SELECT count(*) FROM meltica.events_outbox WHERE attempts <> 1"), "0");
    assert_verified(&rig.service);
}

#[test]
fn an_event_that_does_not_fit_is_a_dead_letter_and_holds_nobody_back_for_ever() {
    let rig = Rig::start();
    let large = rig.insert("a", &format!(r#"{{"text": "{}"}}"#, "x".repeat(8 << 10)), "0 s");
    let next = rig.insert("a", r#"{"n": 2}"#, "0 s");
    rig.wait_until_marked();
    let said = format!(
        "SELECT status, delivered, attempts, last_error LIKE '%message_max%' FROM meltica.events_outbox WHERE id = {large}"
    );
    assert_eq!(rig.ask(&said), "dead|f|2|t");
    assert_eq!(rig.ids("a"), [next]);
    let dead = rig.read("outbox.dead_letter");
    assert_eq!((dead.len(), dead[0].value.as_deref(), dead[0].header("id")), (1, None, Some(large.as_str())));
    assert!(dead[0].header("pgtape.reason").unwrap().contains("message_max"));
    assert_eq!(rig.command(&["list", "--state", "dead"])["rows"][0]["id"], large);
    assert_eq!(rig.get("/v1/outbox?state=dead&aggregate=order/a")["rows"][0]["attempts"], 2);
    assert_eq!(rig.get("/v1/outbox?state=undelivered")["rows"].as_array().unwrap().len(), 0);

    // Mended by hand and retried: it is delivered. Its payload was out of line, and is not sent by the retry's update.
    rig.ask(&format!("UPDATE meltica.events_outbox SET payload = '{{\"n\": 1}}' WHERE id = {large}"));
    let retried = rig.command(&["retry", "--dead", "--yes", "--reason", "test"]);
    assert_eq!(retried["retried"], 1, "{retried}");
    rig.wait_for_none("NOT delivered");
    assert_eq!(rig.ids("a").last(), Some(&large));
}

#[test]
fn the_marking_role_may_mark_and_nothing_else() {
    let rig = Rig::start();
    let id = rig.insert("a", "{}", "0 s");
    rig.wait_until_marked();
    let may = |sql: &str| rig.pg.psql(&format!("SET ROLE {MARKER}; {sql}")).is_ok();
    assert!(may("UPDATE meltica.events_outbox SET attempts = attempts, delivered = delivered"));
    assert!(may("SELECT payload FROM meltica.events_outbox"));
    for sql in [
        "UPDATE meltica.events_outbox SET payload = '{}'",
        "UPDATE meltica.events_outbox SET aggregate_id = 'x'",
        "DELETE FROM meltica.events_outbox",
        "INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES ('a', 'b', 'c', '{}')",
        "SELECT * FROM meltica.orders",
    ] {
        assert!(!may(sql), "{sql} is allowed");
    }
    let reply = rig.service.get(&format!("/v1/outbox?state=undelivered&limit=1&aggregate=order/{id}")).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}
