//! docs/asyncapi.yaml against the records of the same life: each fits exactly one message of its channel.

use std::collections::BTreeSet;

use pgtape::sandbox::Record;
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::WRITTEN;
use super::schema::faults;

const DOCUMENT: &str = include_str!("../../../docs/asyncapi.yaml");

/// Topics and their channels.
const CHANNELS: &[(&str, &str)] = &[
    ("shop.public.orders", "tables"),
    ("shop.public.customers", "tables"),
    ("shop.public.visits", "tables"),
    ("shop.public.prices", "tables"),
    ("told.public.orders", "tables"),
    ("flink.public.orders", "tables"),
    ("strict.public.customers", "tables"),
    ("flat.public.orders", "flatTables"),
    ("shop.message", "logicalMessages"),
    ("told.transaction", "transactions"),
    ("__debezium-heartbeat.told", "heartbeats"),
    ("shop.quarantine", "quarantine"),
    ("outbox.event.order", "outbox"),
    ("outbox.dead_letter", "deadLetters"),
    ("pgtape.progress", "progress"),
];

fn document() -> Value {
    fn json(yaml: &Yaml) -> Value {
        match yaml {
            Yaml::Null => Value::Null,
            Yaml::Boolean(value) => json!(value),
            Yaml::Integer(number) => json!(number),
            Yaml::String(text) => json!(text),
            Yaml::Array(items) => items.iter().map(json).collect(),
            Yaml::Hash(members) => {
                let member = |(name, value): (&Yaml, &Yaml)| (name.as_str().expect("a name").to_owned(), json(value));
                Value::Object(members.iter().map(member).collect::<Map<_, _>>())
            }
            Yaml::Real(_) | Yaml::Alias(_) | Yaml::BadValue => panic!("no place for {yaml:?}"),
        }
    }
    json(&YamlLoader::load_from_str(DOCUMENT).unwrap()[0])
}

/// What `reference` points to, if it is one.
fn target<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(pointer) => root.pointer(pointer.trim_start_matches('#')).unwrap_or_else(|| panic!("no {pointer}")),
        None => value,
    }
}

/// JSON, or text where it is none; `None` is null.
fn value_of(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(std::str::from_utf8(bytes).unwrap()))
}

/// Why the record is not this message.
fn differences(root: &Value, message: &Value, record: &Record) -> Vec<String> {
    let headers: Map<String, Value> =
        record.headers.iter().map(|(name, value)| (name.clone(), value_as_text(value.as_deref()))).collect();
    let parts = [
        (message.get("payload"), value_of(record.value.as_deref()), "value"),
        (message.get("headers"), Value::Object(headers), "headers"),
        (message.pointer("/bindings/kafka/key"), value_of(record.key.as_deref()), "key"),
    ];
    parts.iter().flat_map(|(schema, value, at)| schema.map_or(Vec::new(), |s| faults(root, s, value, at))).collect()
}

fn value_as_text(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| json!(std::str::from_utf8(bytes).unwrap()))
}

#[test]
fn every_record_is_one_message_of_its_channel() {
    let root = document();
    let mut used = BTreeSet::new();
    for (topic, channel) in CHANNELS {
        let records = &WRITTEN[*topic];
        assert!(!records.is_empty(), "{topic} is empty");
        let messages = root["channels"][channel]["messages"].as_object().unwrap();
        for record in records {
            let found: Vec<_> =
                messages.iter().map(|(name, m)| (name, differences(&root, target(&root, m), record))).collect();
            let fitting: Vec<_> = found.iter().filter(|(_, faults)| faults.is_empty()).map(|(name, _)| name).collect();
            assert_eq!(fitting.len(), 1, "{topic}: {record:?}\nfits {fitting:?}\n{found:#?}");
            used.insert(fitting[0].as_str());
        }
    }
    assert_eq!(WRITTEN.keys().map(String::as_str).collect::<BTreeSet<_>>(), CHANNELS.iter().map(|(t, _)| *t).collect());
    let sent: BTreeSet<&str> = CHANNELS.iter().map(|(_, channel)| *channel).collect();
    assert_eq!(sent, root["channels"].as_object().unwrap().keys().map(String::as_str).collect());
    let all: BTreeSet<&str> = root["components"]["messages"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(all, used);
}
