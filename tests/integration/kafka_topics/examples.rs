//! The examples of docs/TOPICS.md: blocks that begin with `topic NAME`, then records with an empty line between; `...` stands
//! for the rest of a topic.
//!
//! What no two runs have in common (times, LSNs, transaction ids, versions) is replaced on both sides before they are
//! compared; positions by the order in which a topic's records first have them.

use std::collections::BTreeMap;

use pgtape::sandbox::Record;
use serde_json::{Value, json};

use super::{TOPICS, WRITTEN};

/// Fields that differ from run to run.
const OF_THE_RUN: &[&str] = &[
    "ts_ms",
    "ts_us",
    "ts_ns",
    "lsn",
    "__lsn",
    "__source_ts_ms",
    "sequence",
    "txId",
    "version",
    "commit_time_us",
    "position",
    "system_id",
    "publication",
    "last_commit",
];

/// Stands for records that are not shown.
const REST: &str = "...";

/// The examples by topic, as they are written.
pub(super) fn of(document: &str) -> BTreeMap<String, Vec<String>> {
    let mut examples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in document.split("\n```text\ntopic ").skip(1) {
        let (topic, rest) = block.split_once('\n').expect("a line");
        let records = rest.split("\n```").next().expect("an end").trim();
        examples.entry(topic.trim().to_owned()).or_default().extend(records.split("\n\n").map(str::to_owned));
    }
    examples
}

/// A record in the document's form.
pub(super) fn show(record: &Record) -> String {
    let text = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => String::from_utf8(bytes.clone()).expect("text"),
        None => "null".to_owned(),
    };
    let mut shown = format!("key    {}\nvalue  {}", text(&record.key), text(&record.value));
    for (name, value) in &record.headers {
        shown += &format!("\nheader {name}: {}", text(value));
    }
    shown
}

/// The same without what differs from run to run. `positions` are those seen so far.
fn replaced(example: &str, positions: &mut Vec<String>) -> String {
    let line = |line: &str| {
        if let Some(position) = line.strip_prefix("header pgtape.position: ") {
            let (lsn, op) = position.split_once('.').unwrap_or((position, ""));
            let known = positions.iter().position(|known| known == lsn).unwrap_or_else(|| {
                positions.push(lsn.to_owned());
                positions.len() - 1
            });
            return format!("header pgtape.position: #{known}.{op}");
        }
        let (name, text) = line.split_at(line.find('{').unwrap_or(line.len()));
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                settle(&mut value);
                format!("{name}{value}")
            }
            Err(_) => line.to_owned(),
        }
    };
    example.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn settle(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for (name, value) in object {
        match (name.as_str(), &*value) {
            (_, Value::Null) => {}
            ("id", Value::String(id)) if id.contains(':') => *value = json!("<xid>:<lsn>"),
            (name, _) if OF_THE_RUN.contains(&name) => *value = json!(format!("<{name}>")),
            _ => settle(value),
        }
    }
}

fn all_replaced<'a>(examples: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut positions = Vec::new();
    examples.into_iter().map(|example| replaced(example, &mut positions)).collect()
}

#[test]
fn the_examples_are_what_the_topics_hold() {
    let mut different = String::new();
    for (topic, mut examples) in of(TOPICS) {
        let mut shown: Vec<String> = WRITTEN[&topic].iter().map(show).collect();
        if examples.last().is_some_and(|last| last == REST) {
            examples.pop();
            shown.truncate(examples.len());
        }
        if all_replaced(&examples) != all_replaced(&shown) {
            different += &format!("\n```text\ntopic {topic}\n{}\n```\n", shown.join("\n\n"));
        }
    }
    assert!(different.is_empty(), "docs/TOPICS.md shows something else than:\n{different}");
}
