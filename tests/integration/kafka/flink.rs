//! An engine that is not ours, downstream: Flink reads the topics (profile `flink`) while the five engines work, and comes to
//! the same results of the day as our roll-ups. `make flink` runs this alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgtape::sandbox::{KafkaOptions, KafkaTools, PrivatePostgres, Process, Service, ServiceProcess};
use serde_json::Value;

use super::broker;
use crate::common::server;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// A JVM starts, reads everything and joins it in some ten seconds.
const FLINK_LIMIT: Duration = Duration::from_secs(120);
const READY_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// How long the engines work, unless `PGTAPE_FLINK_SECONDS` says otherwise.
const SECONDS: u64 = 12;

/// Only tables with REPLICA IDENTITY FULL, as the migrations made them.
const KAFKA: &str = r#"
[source]
tables = ["perplex.*", "openmatch.*", "aether.*", "meltica.*", "worker.*"]

[rollups]
names = ["aether.pnl_daily", "openmatch.pnl_daily"]

[[kafka]]
topic_prefix = "shop"
profile = "flink"
tables = ["aether.arbs", "aether.bundles", "aether.inclusion_results", "openmatch.trades"]
"#;

const SOURCES: [&str; 4] =
    ["shop.aether.arbs", "shop.aether.bundles", "shop.aether.inclusion_results", "shop.openmatch.trades"];

/// What the engines do not do: wei beyond 38 digits, times and prices that are no numbers, a row changed, one deleted.
const ODD: &str = "
    INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, gas_used, gas_price_wei,
        builders) SELECT md5(n::text)::uuid, md5(n::text)::uuid, submitted, 1, '', 21000, price, '[]'
      FROM (VALUES (1, '2020-02-29 23:59:59.999999+00'::timestamptz, 9e70::numeric + 1), (2, '2020-02-29 12:00+00', 7),
        (3, 'infinity', 1), (4, '2020-02-29 00:00+00', 'NaN'), (5, '2020-02-29 00:00+00', 5)) AS odd (n, submitted, price);
    UPDATE aether.bundles SET gas_price_wei = 10 WHERE bundle_id = md5('2')::uuid;
    DELETE FROM aether.bundles WHERE bundle_id = md5('5')::uuid;";

/// A topic of results, its columns, and the same from Postgres.
const RESULTS: [(&str, &str); 2] = [
    (
        "shop.flink.aether.pnl_daily",
        "SELECT json_build_object('day', day, 'realized_profit_wei', realized_profit_wei::text, 'gas_spent_wei',
           gas_spent_wei::text, 'bundle_count', bundle_count, 'inclusion_count', inclusion_count) FROM aether.pnl_daily",
    ),
    (
        "shop.flink.openmatch.pnl_daily",
        "SELECT json_build_object('day', day, 'account', account, 'market', market, 'asset', asset, 'volume',
           volume::numeric(38, 8)::text, 'fill_count', fill_count) FROM openmatch.pnl_daily",
    ),
];

/// The job, up to `end`.
fn flink(bootstrap: &str, end: &str, log: &Path) -> Process {
    let jars = Path::new(ROOT).join("target/flink/.complete");
    assert!(jars.is_file(), "there is no Flink in target/flink; get it with: deploy/flink/flink.sh fetch");
    let mut command = Command::new(Path::new(ROOT).join("deploy/flink/flink.sh"));
    command.arg("run").env("BROKERS", bootstrap).env("PREFIX", "shop").env("END", end);
    Process::start("flink", command, log).unwrap()
}

/// The rows of a compacted topic: the last value of each key.
fn last_values(tools: &KafkaTools, topic: &str) -> Vec<Value> {
    let mut last = BTreeMap::new();
    // Until Flink writes to it, there is no topic.
    for record in tools.read(topic).unwrap_or_default() {
        match record.value {
            Some(_) => last.insert(record.key.clone(), record.json()),
            None => last.remove(&record.key),
        };
    }
    sorted(last.into_values().collect())
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(ToString::to_string);
    rows
}

/// The results in Postgres, if Flink has the same.
fn equal(tools: &KafkaTools, postgres: &PrivatePostgres, (topic, sql): (&str, &str)) -> Result<Vec<Value>, String> {
    let rows = postgres.psql(sql).unwrap();
    let ours = sorted(rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
    let theirs = last_values(tools, topic);
    if ours == theirs && !ours.is_empty() { Ok(ours) } else { Err(format!("{topic}: {ours:#?}\n{theirs:#?}")) }
}

/// pgtape with the schemas of the engines.
fn service(postgres: &PrivatePostgres, bootstrap: &str, directory: &Path) -> ServiceProcess {
    let config = format!("{KAFKA}brokers = \"{bootstrap}\"\n");
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &postgres.url(), &directory.join("data")).unwrap();
    let service = service.config(&config).unwrap();
    let migrated = service.finish(&["migrate", "up"]).unwrap();
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    let mut service = ServiceProcess::start(service).unwrap();
    service.wait_ready(READY_LIMIT).unwrap();
    service
}

#[test]
fn flink_comes_to_the_same_results_of_the_day() {
    // The topics of results are made when Flink writes to them.
    let options = KafkaOptions { settings: &[("auto.create.topics.enable", "true")], ..KafkaOptions::default() };
    let (postgres, broker, directory) = (server(&[]), broker(&options), tempfile::tempdir().unwrap());
    let (tools, bootstrap, path) = (broker.tools(), broker.bootstrap(), directory.path());
    let mut service = service(&postgres, &bootstrap, path);
    postgres.psql(ODD).unwrap();

    let seconds = std::env::var("PGTAPE_FLINK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let words = ["simulate", "--rate", "40", "--seconds", &seconds.to_string(), "--record-dir"];
    let mut engines = service.service().command(&words);
    engines.arg(path.join("records"));
    let mut engines = Process::start("the engines", engines, &path.join("engines.log")).unwrap();
    // Flink ends at once where a topic is not there yet.
    let began = Instant::now();
    for topic in SOURCES {
        while !tools.read(topic).is_ok_and(|records| !records.is_empty()) {
            assert!(began.elapsed() < READY_LIMIT, "no {topic}: {}", service.log());
            sleep(POLL);
        }
    }
    let mut endless = flink(&bootstrap, "unbounded", &path.join("endless.log"));
    let ended = engines.wait(Duration::from_secs(seconds) + READY_LIMIT).unwrap();
    assert!(ended.success(), "{}", engines.output());

    let waited = Instant::now();
    for result in RESULTS {
        while let Err(different) = equal(tools, &postgres, result) {
            assert!(endless.ended().unwrap().is_none(), "Flink ended: {}", endless.output());
            assert!(waited.elapsed() < FLINK_LIMIT, "{different}\n{}", endless.output());
            sleep(POLL);
        }
    }
    endless.kill9().unwrap();

    // And from the beginning to what is there: it says everything again, and what it said last holds.
    let mut bounded = flink(&bootstrap, "latest-offset", &path.join("bounded.log"));
    assert!(bounded.wait(FLINK_LIMIT).unwrap().success(), "{}", bounded.output());
    for result in RESULTS {
        let rows = equal(tools, &postgres, result).unwrap_or_else(|different| panic!("{different}"));
        println!("{}: {} rows, the first is {}", result.0, rows.len(), rows[0]);
    }
    service.terminate(READY_LIMIT).unwrap();
}
