//! docs/TOPICS.md and docs/asyncapi.yaml against what pgtape puts into topics: one service, one broker, five sinks of
//! different forms, a short life of some tables.

mod asyncapi;
mod examples;
mod reading;
mod schema;
mod values;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgtape::sandbox::{Error, KafkaTools, PrivatePostgres, Record, Service, ServiceProcess};

use crate::common::server;
use crate::kafka::any_broker;

const TOPICS: &str = include_str!("../../../docs/TOPICS.md");

const LIMIT: Duration = Duration::from_secs(120);

/// The sinks of the examples. What a sink is not configured to do, its defaults do.
const SINKS: &str = r#"
[source]
tables = ["public.*"]
heartbeat_every = "1 s"

[[kafka]]
name = "own"
topic_prefix = "shop"
message_max = "4 KiB"

[[kafka]]
name = "told"
topic_prefix = "told"
transactions = true
heartbeat_every = "1 s"
tables = ["public.orders"]

[[kafka]]
name = "flink"
topic_prefix = "flink"
profile = "flink"
tables = ["public.orders"]

[[kafka]]
name = "flat"
topic_prefix = "flat"
profile = "plain"
tables = ["public.orders"]

[[kafka]]
name = "strict"
topic_prefix = "strict"
profile = "debezium"
tables = ["public.customers"]

[[kafka]]
name = "events"
topic_prefix = "events"
message_max = "4 KiB"
initial = "earliest"
[kafka.outbox]
table = "public.outbox"
attempts_max = 1
"#;

const TABLES: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, amount numeric(10,2) NOT NULL,
        paid boolean NOT NULL DEFAULT false, placed_at timestamptz NOT NULL);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, credit numeric(10,2));
    CREATE TABLE visits (page text);
    ALTER TABLE visits REPLICA IDENTITY FULL;
    CREATE TABLE outbox (id bigint PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL,
        payload jsonb NOT NULL);
    CREATE TABLE prices (sku text PRIMARY KEY, price numeric(10,2));
    INSERT INTO orders VALUES (1, 'ann', 10.50, false, '2026-11-21 09:00:00+00');
    INSERT INTO prices VALUES ('a', 1.10);";

/// Each a transaction, but for the first.
const LIFE: &[&str] = &[
    "BEGIN; INSERT INTO orders VALUES (2, 'bob', 2.25, false, '2026-11-21 09:30:00+00');
     UPDATE orders SET paid = true WHERE id = 1; COMMIT",
    "UPDATE orders SET id = 3 WHERE id = 2",
    "DELETE FROM orders WHERE id = 3",
    "INSERT INTO customers VALUES (7, 'cy', 100)",
    "UPDATE customers SET name = 'Cy' WHERE id = 7",
    "DELETE FROM customers WHERE id = 7",
    "SELECT pg_logical_emit_message(true, 'audit', 'hello')",
    "INSERT INTO visits VALUES ('/')",
    "TRUNCATE visits",
    "INSERT INTO visits VALUES (repeat('x', 5000))",
    r#"INSERT INTO outbox VALUES (1, 'order', 'o-1', 'OrderPlaced', '{"total": 10.50}')"#,
    "INSERT INTO outbox VALUES (2, 'order', 'o-2', 'OrderPlaced', to_jsonb(repeat('x', 5000)))",
    "ALTER TABLE prices ADD COLUMN currency text NOT NULL DEFAULT 'EUR'",
    "UPDATE prices SET price = 1.20 WHERE sku = 'a'",
];

/// What the topics hold in the end.
static WRITTEN: LazyLock<BTreeMap<String, Vec<Record>>> = LazyLock::new(|| write().unwrap_or_else(|e| panic!("{e}")));

/// Lives the life, and reads all topics that the document shows; of heartbeats, which go on and on, the first.
fn write() -> Result<BTreeMap<String, Vec<Record>>, Error> {
    let (postgres, broker, directory) = (server(&[]), any_broker(), tempfile::tempdir().unwrap());
    postgres.psql(TABLES)?;
    let sinks = SINKS.replace("\n[[kafka]]", "\n[[kafka]]\ntopics = { partitions = 1 }\nbrokers = \"BROKERS\"");
    let config = sinks.replace("BROKERS", &broker.bootstrap());
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &postgres.url(), &directory.path().join("data"))?;
    let mut service = ServiceProcess::start(service.config(&config)?)?;
    service.wait_ready(LIMIT)?;
    let (tools, documented) = (broker.tools(), examples::of(TOPICS));
    // A copy that is not fixed yet would hold rows of this life.
    let first = ["shop.public.orders", "told.public.orders", "flink.public.orders", "flat.public.orders"];
    for topic in first.iter().chain(&["shop.public.prices"]) {
        read(tools, topic, 1, &service)?;
    }
    live(&postgres)?;
    let mut written = BTreeMap::new();
    // The progress goes on while others are waited for: it comes last.
    let (last, first): (Vec<_>, Vec<_>) = documented.iter().partition(|(topic, _)| *topic == "pgtape.progress");
    for (topic, examples) in first.into_iter().chain(last) {
        let mut records = read(tools, topic, examples.len(), &service)?;
        if topic.starts_with("__debezium-heartbeat") {
            records.truncate(1);
        }
        if topic == "pgtape.progress" {
            records.retain(|record| record.key.as_deref() == Some(b"shop.own"));
            records.drain(..records.len().saturating_sub(1));
        }
        written.insert(topic.clone(), records);
    }
    service.terminate(LIMIT)?;
    Ok(written)
}

fn live(postgres: &PrivatePostgres) -> Result<(), Error> {
    LIFE.iter().try_for_each(|sql| postgres.psql(sql).map(|_said| ()))
}

/// All records of a topic, once it is there and holds `at_least`; what it has after the limit otherwise.
fn read(tools: &KafkaTools, topic: &str, at_least: usize, service: &ServiceProcess) -> Result<Vec<Record>, Error> {
    let began = Instant::now();
    loop {
        match tools.read(topic) {
            Ok(records) if records.len() >= at_least => return Ok(records),
            Ok(records) if began.elapsed() > LIMIT => return Ok(records),
            Err(error) if began.elapsed() > LIMIT => {
                return Err(Error::Program { what: format!("no {topic}: {error}"), output: service.log() });
            }
            Ok(_) | Err(_) => sleep(Duration::from_millis(100)),
        }
    }
}
