//! The Rust of docs/TOPICS.md, so that it goes on to compile.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};

use super::TOPICS;

#[allow(dead_code, unused_variables)]
fn read() -> Result<(), Box<dyn std::error::Error>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", "localhost:9092")
        .set("group.id", "stock")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()?;
    consumer.subscribe(&["shop.public.orders"])?;
    for record in consumer.iter() {
        let record = record?;
        let header = |name| record.headers()?.iter().find(|header| header.key == name)?.value;
        let (position, part) = (header("pgtape.position"), header("pgtape.part"));
        // None: a tombstone.
        let change: Option<serde_json::Value> = record.payload().map(serde_json::from_slice).transpose()?;
    }
    Ok(())
}

#[test]
fn the_rust_of_the_document_compiles() {
    let shown = TOPICS.split("\n```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let compiled = include_str!("reading.rs");
    for line in shown.lines().map(str::trim) {
        assert!(compiled.lines().any(|compiled| compiled.trim() == line), "{line}");
    }
}
