//! Golden schemas and bytes, those of Debezium first.

mod debezium;
mod forms;
mod records;

use std::fmt::Write;

use crate::model::{Column, Identity, Relation, TableName};
use crate::sinks::kafka::avro::{Avro, Ids, Schemas};
use crate::sinks::kafka::encode::{Connector, Decimals, Encoder, Intervals, Modes, Times, Types};

const IDS: Ids = Ids { key: 1, value: 0x01_02_03_04 };
const PRECISE: Modes = modes(Decimals::Precise, Times::Microseconds, Intervals::Microseconds);
const DOUBLE_ISO: Modes = modes(Decimals::Double, Times::IsoString, Intervals::IsoString);
const DEFAULT: Modes = modes(Decimals::Text, Times::Adaptive, Intervals::Microseconds);

const fn modes(decimals: Decimals, times: Times, intervals: Intervals) -> Modes {
    Modes { decimals, times, intervals, compat: crate::sinks::kafka::encode::Compat::Honest }
}

/// The fixture's types that are not built in.
fn types() -> Types {
    let mut types = Types::default();
    types.learn(20_001, "public", "mood");
    types.learn(20_002, "public", "_mood");
    types.learn(20_003, "public", "hstore");
    types.learn(20_004, "", "numeric");
    types
}

fn connector() -> Connector {
    Connector::new("3.6.3.Final", "shop", "postgres")
}

/// `columns`: name, type's OID, type modifier, whether it is of the key.
fn relation(table: &str, columns: &[(&str, u32, i32, bool)]) -> Relation {
    let column = |&(name, type_oid, type_modifier, in_identity): &(&str, u32, i32, bool)| Column {
        name: name.into(),
        in_identity,
        type_oid,
        type_modifier,
    };
    let columns = columns.iter().map(column).collect();
    Relation { id: 1, table: TableName::new("public", table), identity: Identity::Default, columns }
}

fn schemas(relation: &Relation, modes: &Modes) -> Schemas {
    Schemas::of_table(&connector(), relation, None, modes, &types()).unwrap()
}

/// A column's value with the branch of its union, or the reason why there is none.
fn value(modes: &Modes, type_oid: u32, type_modifier: i32, text: &str) -> Result<String, &'static str> {
    let mut out = vec![2];
    Encoder::choose(type_oid, type_modifier, modes, &types()).put::<Avro>(text.as_bytes(), &mut out)?;
    Ok(hex(&out))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
