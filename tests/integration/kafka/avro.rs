//! Avro from Postgres to the topic: with a real registry that is strict, changes its mind, or is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pgtape::model::Position;
use pgtape::sandbox::{KafkaBroker, PrivatePostgres, PrivateRegistry, Record, Service, ServiceProcess};
use serde_json::Value;
use tempfile::TempDir;

use super::any_broker;
use crate::common::server;
use crate::kafka_avro::programs;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

const CONFIG: &str = r#"
sinks = ["standby", "kafka"]
[[kafka]]
name = "avro"
brokers = "BROKERS"
topic_prefix = "p"
profile = "debezium"
decimals = "text"
format = "avro"
transactions = true
heartbeat_every = "1 s"
[kafka.registry]
url = "REGISTRY"
"#;

struct Rig {
    pg: PrivatePostgres,
    kafka: KafkaBroker,
    registry: PrivateRegistry,
    service: ServiceProcess,
    _directory: TempDir,
}

impl Rig {
    /// A service that follows `shop.*`, after `sql`; the registry takes what readers of the last schema can read.
    fn start(sql: &str) -> Self {
        let (pg, kafka, directory) = (server(&[]), any_broker(), tempfile::tempdir().unwrap());
        let registry = PrivateRegistry::start(programs()).unwrap_or_else(|error| panic!("{error}"));
        pg.psql(sql).unwrap();
        let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &pg.url(), &directory.path().join("data")).unwrap();
        let config = CONFIG.replace("BROKERS", &kafka.bootstrap()).replace("REGISTRY", &registry.url());
        let service = service.tables("shop.*").config(&config).unwrap();
        let mut service = ServiceProcess::start(service).unwrap_or_else(|e| panic!("{e}"));
        service.wait_ready(PATIENCE).unwrap_or_else(|e| panic!("{e}"));
        let rig = Self { pg, kafka, registry, service, _directory: directory };
        rig.demand("/config", "BACKWARD");
        rig
    }

    /// Sets what the registry demands of new schemas.
    fn demand(&self, path: &str, compatibility: &str) {
        let level = serde_json::json!({ "compatibility": compatibility });
        ureq::put(format!("{}{path}", self.registry.url())).send_json(level).unwrap();
    }

    fn asked(&self, path: &str) -> Value {
        let text = ureq::get(format!("{}{path}", self.registry.url())).call().unwrap().body_mut().read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    fn sql(&self, sql: &str) -> String {
        self.pg.psql(sql).unwrap().trim().to_owned()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.service.get("/v1/status").unwrap().body).unwrap()
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.status()) {
            assert!(begun.elapsed() < PATIENCE, "{what}\n{}\n{}", self.status(), self.service.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_for_alarm(&self, alarm: &str, text: &str) {
        self.wait(alarm, |status| stands(status, alarm, text));
    }

    /// Until everything that is committed now is in Kafka.
    fn wait_until_produced(&self) {
        let end: Position = self.sql("SELECT pg_current_wal_lsn()").parse().unwrap();
        let end = Position::whole(end.lsn);
        self.wait("everything is produced", |status| {
            let mut sinks = status["sinks"].as_array().unwrap().iter();
            let sink = sinks.find(|sink| sink["sink"] == "avro").unwrap();
            sink["position"].as_str().unwrap().parse::<Position>().unwrap() >= end
        });
    }

    fn read(&self, topic: &str) -> Vec<Record> {
        self.kafka.tools().read(topic).unwrap_or_else(|e| panic!("{e}\n{}", self.service.log()))
    }

    /// The values of records as Avro's own tools read them, with the schemas that the registry has now.
    fn values(&self, records: &[Record]) -> Vec<Value> {
        let mut of_schema: BTreeMap<u32, Vec<(usize, &[u8])>> = BTreeMap::new();
        for (at, record) in records.iter().enumerate() {
            let Some(value) = &record.value else { continue };
            let (head, rest) = value.split_at(5);
            assert_eq!(head[0], 0, "Confluent's wire format");
            of_schema.entry(u32::from_be_bytes(head[1..].try_into().unwrap())).or_default().push((at, rest));
        }
        let mut values = vec![Value::Null; records.len()];
        for (id, parts) in of_schema {
            let schema = self.asked(&format!("/schemas/ids/{id}"))["schema"].as_str().unwrap().to_owned();
            let data: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            let read = programs().read_avro(&schema, &data).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.len(), parts.len());
            parts.iter().zip(read).for_each(|((at, _), value)| values[*at] = value);
        }
        values
    }

    /// What Postgres holds of a table: each row's columns as texts, by `id`.
    fn rows(&self, table: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
        let sql = format!(
            "SELECT coalesce(json_object_agg(id, (SELECT json_object_agg(key, value) FROM jsonb_each_text(to_jsonb(t)))), '{{}}')
               FROM {table} t"
        );
        serde_json::from_str(&self.sql(&sql)).unwrap()
    }

    fn resume(&self, table: &str) {
        let verb = ["kafka", "resume", "avro", "--table", table, "--yes", "--reason", "test"];
        let finished = self.service.service().finish(&verb).unwrap();
        assert_eq!(finished.code, Some(0), "{}\n{}", finished.stderr, self.service.log());
    }
}

/// Whether the alarm stands, with this in its message.
fn stands(status: &Value, alarm: &str, text: &str) -> bool {
    let told = |a: &Value| a["alarm"] == alarm && a["message"].as_str().unwrap().contains(text);
    status["alarms"].as_array().unwrap().iter().any(told)
}

/// Rows by key, after all changes; columns as texts.
fn folded(
    mut rows: BTreeMap<String, BTreeMap<String, Value>>,
    values: &[Value],
) -> BTreeMap<String, BTreeMap<String, Value>> {
    for value in values.iter().filter(|value| !value.is_null()) {
        let row = |side: &str| value[side].as_object().and_then(|branch| branch.values().next()).cloned();
        let id = |row: &Value| row["id"].to_string();
        match (value["op"].as_str().unwrap(), row("before"), row("after")) {
            ("d", Some(before), None) => drop(rows.remove(&id(&before))),
            ("r" | "c" | "u", _, Some(after)) => {
                let columns = after.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text_of(value)));
                rows.insert(id(&after), columns.collect());
            }
            other => panic!("{other:?}"),
        }
    }
    rows
}

/// A value inside its union's branch, as text.
fn text_of(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Object(branch) => text_of(branch.values().next().unwrap()),
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

/// No change is there twice.
fn assert_once(records: &[Record]) {
    let place = |record: &Record| {
        (record.header("pgtape.position").unwrap().to_owned(), record.header("pgtape.part").unwrap().to_owned())
    };
    let places: BTreeSet<_> = records.iter().map(place).collect();
    assert_eq!(places.len(), records.len());
}

#[test]
fn rows_in_avro_are_those_of_postgres_though_columns_are_added_and_the_registry_is_killed() {
    let mut rig = Rig::start(
        "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, note text, price numeric(10,2));
         INSERT INTO shop.t SELECT n, 'note ' || n, n / 8.0 FROM generate_series(1, 20) n",
    );
    rig.wait_until_produced();
    rig.sql("INSERT INTO shop.t VALUES (21, 'é', 1e7); UPDATE shop.t SET price = NULL WHERE id = 3");
    rig.sql("DELETE FROM shop.t WHERE id = 4; UPDATE shop.t SET id = 50 WHERE id = 5");
    rig.sql("SELECT pg_logical_emit_message(true, 'greeting', 'hello')");
    rig.sql("ALTER TABLE shop.t ADD COLUMN extra bigint; INSERT INTO shop.t VALUES (60, 'new', 2, 7)");
    rig.wait_until_produced();
    let records = rig.read("p.shop.t");
    let values = rig.values(&records);
    let rows = folded(BTreeMap::new(), &values);
    assert_eq!(rows, rig.rows("shop.t"));
    let row = &rows["60"];
    assert_eq!((row["extra"].as_str(), row["price"].as_str()), (Some("7"), Some("2.00")));
    assert_eq!(rig.asked("/subjects/p.shop.t-value/versions").as_array().unwrap().len(), 2);
    assert_eq!(rig.asked("/subjects/p.shop.t-key/versions").as_array().unwrap().len(), 1);
    // Those who read the new schema can read what was written with the old one.
    let ids: Vec<&[u8]> = records.iter().filter_map(|record| Some(&record.value.as_ref()?[1..5])).collect();
    assert!(ids.is_sorted() && ids.first() < ids.last(), "{ids:?}");
    let message = rig.values(&rig.read("p.message"));
    assert_eq!(message[0]["message"]["content"]["bytes"], "hello");
    let borders = rig.values(&rig.read("p.transaction"));
    let last = borders.last().unwrap();
    assert_eq!((last["status"].as_str(), &last["event_count"]["long"]), (Some("END"), &Value::from(1)));
    assert!(!rig.values(&rig.read("__debezium-heartbeat.p")).is_empty());
    let doctor = rig.service.service().finish(&["doctor", "--json"]).unwrap().json();
    let doctor = doctor.to_string();
    assert!(doctor.contains("kafka_registry") && doctor.contains("answers"), "{doctor}");

    // Without the registry a new schema waits, and with it everything behind; nothing is lost, nothing comes twice.
    rig.registry.kill9().unwrap();
    rig.sql("ALTER TABLE shop.t ADD COLUMN late text; INSERT INTO shop.t VALUES (70, 'x', 3, 8, 'a')");
    rig.sql("DELETE FROM shop.t WHERE id = 6; INSERT INTO shop.t (id, late) VALUES (71, 'b')");
    rig.wait_for_alarm("sink_failing", "registry");
    assert_eq!(rig.read("p.shop.t").len(), records.len());
    rig.registry.start_again().unwrap();
    rig.wait_until_produced();
    let all = rig.read("p.shop.t");
    assert_once(&all);
    let values = rig.values(&all[records.len()..]);
    let mut before = rows;
    before.values_mut().for_each(|row| drop(row.insert("late".into(), Value::Null)));
    assert_eq!(folded(before, &values), filled(rig.rows("shop.t")));
    assert_eq!(filled(rig.rows("shop.t"))["70"]["late"], "a");
}

/// Rows before a column was added do not hold it in their records.
fn filled(mut rows: BTreeMap<String, BTreeMap<String, Value>>) -> BTreeMap<String, BTreeMap<String, Value>> {
    for row in rows.values_mut() {
        row.entry("late".into()).or_insert(Value::Null);
    }
    rows
}

#[test]
fn an_incompatible_change_stops_its_topic_alone_until_the_registry_takes_it() {
    let rig = Rig::start(
        "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, note text);
         CREATE TABLE shop.u (id int PRIMARY KEY, note text);
         INSERT INTO shop.t VALUES (1, '1'); INSERT INTO shop.u VALUES (1, '1')",
    );
    rig.wait_until_produced();
    rig.sql("INSERT INTO shop.t VALUES (2, '2')");
    rig.sql("ALTER TABLE shop.t ALTER COLUMN note TYPE int USING note::int; INSERT INTO shop.t VALUES (3, 3)");
    rig.sql("INSERT INTO shop.t VALUES (4, 4); INSERT INTO shop.u VALUES (2, '2')");
    rig.wait_for_alarm("topic_stopped", "shop.t is produced to");
    rig.wait_until_produced();
    let stopped = rig.read("p.shop.t");
    let notes = folded(BTreeMap::new(), &rig.values(&stopped));
    assert_eq!(notes.keys().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(folded(BTreeMap::new(), &rig.values(&rig.read("p.shop.u"))), rig.rows("shop.u"));

    // Asked to go on too early, it stops again and says so; nothing is produced.
    rig.resume("shop.t");
    rig.sql("INSERT INTO shop.u VALUES (3, '3')");
    rig.wait_until_produced();
    rig.wait_for_alarm("topic_stopped", "shop.t is produced to");
    assert_eq!(rig.read("p.shop.t").len(), stopped.len());

    rig.demand("/config", "NONE");
    rig.resume("shop.t");
    rig.wait("the topic goes on", |status| !stands(status, "topic_stopped", ""));
    rig.sql("INSERT INTO shop.t VALUES (5, 5)");
    rig.wait_until_produced();
    let all = rig.read("p.shop.t");
    assert_once(&all);
    assert_eq!(folded(BTreeMap::new(), &rig.values(&all)), rig.rows("shop.t"));
    assert_eq!(rig.rows("shop.t").len(), 5);
}
