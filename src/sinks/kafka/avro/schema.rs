//! The schemas of tables' keys and values, as Debezium's connector and Confluent's converter make them.
//!
//! What the stream does not tell is not said: whether a column is NOT NULL (all but the key's may be null), its DEFAULT, the
//! labels of an enum (it is a string), and a domain's scale. So a schema differs from Debezium's there, and only there.

use serde_json::{Map, Value, json};

use super::constants;
use super::names::{Names, name};
use crate::model::{Relation, TableName};
use crate::pgoutput::TableFacts;
use crate::sinks::kafka::encode::{
    Connector, DecimalForm, Encoder, Form, Intervals, Meaning, Modes, Precision, Times, Types, Unit, Width, key_columns,
};

/// What Debezium says of `money`.
const MONEY_PRECISION: usize = 64;

/// What Debezium says of a `varbit` without a length.
const UNBOUNDED: i32 = i32::MAX;

/// The schemas of a topic's records, to be registered under its subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemas {
    /// Of keys; `None` where records have none.
    pub key: Option<String>,
    /// Of values.
    pub value: String,
}

/// Two columns would be one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("columns {first:?} and {second:?} of {table} are both called {field:?} in Avro")]
pub struct SameName {
    /// The table.
    pub table: TableName,
    /// A column.
    pub first: String,
    /// Another column.
    pub second: String,
    /// The name that both have.
    pub field: String,
}

impl Schemas {
    /// Of a table's changes, as an [`super::Table`] of the same arguments writes them.
    pub fn of_table(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Result<Self, SameName> {
        check_names(relation)?;
        Ok(Self::named(Names::Adjusted, connector, relation, facts, modes, types))
    }

    /// The same with the names of tables and columns as they are, which Avro does not allow: for who translates it.
    pub(in super::super) fn with_names_as_they_are(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        Self::named(Names::AsTheyAre, connector, relation, facts, modes, types)
    }

    fn named(
        names: Names,
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        let namespace = names.namespace(&connector.name, &relation.table);
        let key = key_columns(relation, facts);
        let fields = |columns: &mut dyn Iterator<Item = usize>| {
            let mut seen = Seen::default();
            let field = |at: usize| {
                let column = &relation.columns[at];
                let encoder = Encoder::choose(column.type_oid, column.type_modifier, modes, types);
                field(names.field(&column.name), &encoder, key.contains(&at), &mut seen)
            };
            columns.map(field).collect::<Vec<_>>()
        };
        let record = |kind: &str, fields: Vec<Value>| json!({ "type": "record", "name": kind, "namespace": namespace, "fields": fields, "connect.name": format!("{namespace}.{kind}") });
        let mut row = record("Value", fields(&mut (0..relation.columns.len())));
        row.as_object_mut().expect("it is one").shift_remove("namespace");
        let key = (!key.is_empty()).then(|| record("Key", fields(&mut key.iter().copied())).to_string());
        Self { key, value: constants::envelope(&namespace, row).to_string() }
    }

    /// Of logical messages.
    #[must_use]
    pub fn of_messages() -> Self {
        Self { key: Some(constants::message_key().to_string()), value: constants::message_value().to_string() }
    }

    /// Of transactions' begins and ends.
    #[must_use]
    pub fn of_transactions() -> Self {
        Self { key: Some(constants::transaction_key().to_string()), value: constants::transaction_value().to_string() }
    }

    /// Of heartbeats.
    #[must_use]
    pub fn of_heartbeats() -> Self {
        Self { key: Some(constants::heartbeat_key().to_string()), value: constants::heartbeat_value().to_string() }
    }
}

/// Records that a schema has defined: a second time they are named.
#[derive(Default)]
struct Seen {
    point: bool,
    decimal: bool,
}

fn check_names(relation: &Relation) -> Result<(), SameName> {
    let columns = &relation.columns;
    for (at, column) in columns.iter().enumerate() {
        let field = name(&column.name);
        if let Some(first) = columns[..at].iter().find(|other| name(&other.name) == field) {
            let (first, second) = (first.name.to_string(), column.name.to_string());
            return Err(SameName { table: relation.table.clone(), first, second, field });
        }
    }
    Ok(())
}

fn field(name: String, encoder: &Encoder, in_key: bool, seen: &mut Seen) -> Value {
    let of_type = type_of(encoder.form(), seen);
    if in_key {
        json!({ "name": name, "type": of_type })
    } else {
        json!({ "name": name, "type": ["null", of_type], "default": null })
    }
}

fn type_of(form: &Form, seen: &mut Seen) -> Value {
    match form {
        Form::Bool | Form::Bit => json!("boolean"),
        Form::Integer(Width::Two) => json!({ "type": "int", "connect.type": "int16" }),
        Form::Integer(Width::Four) => json!("int"),
        Form::Integer(Width::Eight) => json!("long"),
        Form::Float(Precision::Single) => json!("float"),
        Form::Float(Precision::Double) => json!("double"),
        Form::Numeric(form) | Form::Money(form) => decimal(*form, seen),
        Form::Date(Times::IsoString) => named("string", "io.debezium.time.IsoDate"),
        Form::Date(Times::Adaptive | Times::Microseconds) => named("int", "io.debezium.time.Date"),
        Form::Time(Unit::IsoString) => named("string", "io.debezium.time.IsoTime"),
        Form::Time(Unit::Milliseconds) => named("int", "io.debezium.time.Time"),
        Form::Time(Unit::Microseconds) => named("long", "io.debezium.time.MicroTime"),
        Form::TimeTz => named("string", "io.debezium.time.ZonedTime"),
        Form::Timestamp(Unit::IsoString) => named("string", "io.debezium.time.IsoTimestamp"),
        Form::Timestamp(Unit::Milliseconds) => named("long", "io.debezium.time.Timestamp"),
        Form::Timestamp(Unit::Microseconds) => named("long", "io.debezium.time.MicroTimestamp"),
        Form::TimestampTz { digits: _ } => named("string", "io.debezium.time.ZonedTimestamp"),
        Form::Interval(Intervals::IsoString) => named("string", "io.debezium.time.Interval"),
        Form::Interval(Intervals::Microseconds) => named("long", "io.debezium.time.MicroDuration"),
        Form::Bytes => json!("bytes"),
        Form::Bits { length } => {
            let length = length.unwrap_or(UNBOUNDED).to_string();
            json!({ "type": "bytes", "connect.version": 1, "connect.parameters": { "length": length }, "connect.name": "io.debezium.data.Bits" })
        }
        Form::Point => once(&mut seen.point, constants::point),
        Form::Text(meaning) => text(*meaning),
        Form::Hstore => named("string", "io.debezium.data.Json"),
        Form::Guess(form) => type_of(form, seen),
        Form::Array { element, element_oid: _, delimiter: _ } => {
            json!({ "type": "array", "items": ["null", type_of(element, seen)] })
        }
    }
}

fn text(meaning: Meaning) -> Value {
    match meaning {
        Meaning::Plain => json!("string"),
        Meaning::Uuid => named("string", "io.debezium.data.Uuid"),
        Meaning::Json => named("string", "io.debezium.data.Json"),
        Meaning::Xml => named("string", "io.debezium.data.Xml"),
        Meaning::Tsvector => named("string", "io.debezium.data.Tsvector"),
    }
}

fn decimal(form: DecimalForm, seen: &mut Seen) -> Value {
    match form {
        DecimalForm::Text(_) => json!("string"),
        DecimalForm::Double => json!("double"),
        DecimalForm::Unscaled => once(&mut seen.decimal, constants::variable_scale_decimal),
        DecimalForm::Scaled { precision, scale } => {
            let mut parameters = Map::new();
            parameters.insert("scale".to_owned(), scale.to_string().into());
            if let Some(precision) = precision {
                parameters.insert("connect.decimal.precision".to_owned(), precision.to_string().into());
            }
            // Postgres has numeric(3,5), for which Avro would need a precision of the scale at least.
            let precision = precision.unwrap_or(MONEY_PRECISION).max(scale);
            json!({
                "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1, "connect.parameters": parameters,
                "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal",
            })
        }
    }
}

/// A type with a meaning that Kafka Connect knows.
fn named(avro: &str, connect: &str) -> Value {
    json!({ "type": avro, "connect.version": 1, "connect.name": connect })
}

/// A record's definition, and its name where it was defined before.
fn once(seen: &mut bool, definition: impl FnOnce() -> Value) -> Value {
    let definition = definition();
    if std::mem::replace(seen, true) { definition["connect.name"].clone() } else { definition }
}
