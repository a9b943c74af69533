//! Schemas as Kafka Connect's JsonConverter writes them beside each key and value (`schemas.enable=true`):
//! `{"schema":..,"payload":..}`. Avro's schemas say the same things in another notation; they are translated.
//!
//! | Avro | Connect |
//! |---|---|
//! | `int`, `long` | `int32`, `int64`; `int` with `connect.type` is that |
//! | a record, an array | `struct` with `fields`, `array` with `items` |
//! | a union with `null` | `optional` |
//! | `connect.name`, `.version`, `.doc`, `.parameters` | `name`, `version`, `doc`, `parameters` |
//! | the name of a record that was defined before | the record again: JSON has no names |
//!
//! Invariant: a text is made once for each route; a record costs a copy of it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::model::Relation;
use crate::pgoutput::TableFacts;
use crate::sinks::kafka::avro::Schemas;
use crate::sinks::kafka::encode::{Connector, Modes, Types};

/// What stands before the payloads of a topic's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Heads {
    /// Of a table's changes, as a [`super::Table`] of the same arguments writes them.
    #[must_use]
    pub fn of_table(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        Self::of(&Schemas::with_names_as_they_are(connector, relation, facts, modes, types))
    }

    /// Of logical messages.
    #[must_use]
    pub fn of_messages() -> Self {
        Self::of(&Schemas::of_messages())
    }

    /// Of transactions' begins and ends.
    #[must_use]
    pub fn of_transactions() -> Self {
        Self::of(&Schemas::of_transactions())
    }

    /// Of heartbeats.
    #[must_use]
    pub fn of_heartbeats() -> Self {
        Self::of(&Schemas::of_heartbeats())
    }

    fn of(schemas: &Schemas) -> Self {
        let head = |schema: &str| {
            let avro: Value = serde_json::from_str(schema).expect("schemas are JSON");
            format!("{{\"schema\":{},\"payload\":", Translator::default().schema(&avro, false)).into_bytes()
        };
        Self { key: schemas.key.as_deref().map(head).unwrap_or_default(), value: head(&schemas.value) }
    }

    pub(super) fn open_key(heads: Option<&Self>, out: &mut Vec<u8>) {
        if let Some(heads) = heads {
            out.extend_from_slice(&heads.key);
        }
    }

    pub(super) fn open_value(heads: Option<&Self>, out: &mut Vec<u8>) {
        if let Some(heads) = heads {
            out.extend_from_slice(&heads.value);
        }
    }

    pub(super) fn close(heads: Option<&Self>, out: &mut Vec<u8>) {
        if heads.is_some() {
            out.push(b'}');
        }
    }
}

/// From Avro's notation to Connect's.
#[derive(Default)]
struct Translator {
    /// Records by the names that they are called by.
    records: HashMap<String, Value>,
}

impl Translator {
    fn schema(&mut self, avro: &Value, optional: bool) -> Value {
        match avro {
            Value::Array(branches) => match branches.iter().find(|branch| *branch != "null") {
                Some(branch) => self.schema(branch, true),
                None => Value::Null,
            },
            Value::String(name) => match primitive(name) {
                Some(name) => json!({ "type": name, "optional": optional }),
                None => {
                    let mut record = self.records.get(name).cloned().unwrap_or_default();
                    record["optional"] = optional.into();
                    record
                }
            },
            definition => self.defined(definition, optional),
        }
    }

    fn defined(&mut self, avro: &Value, optional: bool) -> Value {
        let mut made = Map::new();
        match avro["type"].as_str().unwrap_or_default() {
            "record" => {
                made.insert("type".into(), "struct".into());
                let fields = avro["fields"].as_array().into_iter().flatten().map(|field| self.field(field));
                made.insert("fields".into(), fields.collect());
            }
            "array" => {
                made.insert("type".into(), "array".into());
                made.insert("items".into(), self.schema(&avro["items"], false));
            }
            name => {
                let name = avro["connect.type"].as_str().or_else(|| primitive(name)).unwrap_or_default();
                made.insert("type".into(), name.into());
            }
        }
        made.insert("optional".into(), optional.into());
        for name in ["name", "version", "doc", "parameters", "default"] {
            if let Some(said) = avro.get(format!("connect.{name}")) {
                made.insert(name.into(), said.clone());
            }
        }
        let made = Value::Object(made);
        if avro["type"] == "record" {
            for name in [&avro["name"], &avro["connect.name"]] {
                self.records.insert(name.as_str().unwrap_or_default().into(), made.clone());
            }
        }
        made
    }

    fn field(&mut self, field: &Value) -> Value {
        let mut made = self.schema(&field["type"], false);
        made["field"] = field["name"].clone();
        made
    }
}

/// Connect's name of a type of Avro's that is no record.
fn primitive(name: &str) -> Option<&str> {
    match name {
        "int" => Some("int32"),
        "long" => Some("int64"),
        "boolean" | "float" | "double" | "string" | "bytes" => Some(name),
        _ => None,
    }
}
