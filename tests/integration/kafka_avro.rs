//! Avro against a real registry, and values read back by Avro's own tools.

use std::time::Duration;

use pgtape::model::{Column, Identity, Relation, TableName};
use pgtape::pgoutput::{Cell, Message, decode, encode_insert};
use pgtape::sandbox::{Database, PrivateRegistry, RegistryPrograms};
use pgtape::sinks::kafka::avro::{Ids, Schemas, Table};
use pgtape::sinks::kafka::encode::{Connector, Intervals, Modes, Place, Records, Snapshot, Stamp, Types};
use pgtape::sinks::kafka::registry::{Registry, RegistryError, Settings};
use serde_json::Value;

use crate::common::database;
use crate::foreign::types::TYPES;

/// What `scripts/setup.sh kafka` fetches.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/registry");

pub fn programs() -> RegistryPrograms {
    RegistryPrograms::at(FOLDER).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn client(url: &str) -> Registry {
    let settings = Settings { url: url.to_owned(), login: None, ca: None, timeout: Duration::from_secs(30) };
    Registry::new(&settings).unwrap()
}

/// `shop.t`, its key the column `id`; columns by name, type's OID and type modifier.
fn relation(columns: &[(&str, u32, i32)]) -> Relation {
    let column = |(at, &(name, type_oid, type_modifier)): (usize, &(&str, u32, i32))| Column {
        name: name.into(),
        in_identity: at == 0,
        type_oid,
        type_modifier,
    };
    let columns = columns.iter().enumerate().map(column).collect();
    Relation { id: 1, table: TableName::new("shop", "t"), identity: Identity::Default, columns }
}

fn schemas(relation: &Relation, modes: &Modes) -> Schemas {
    Schemas::of_table(&Connector::new("1", "p", "db"), relation, None, modes, &Types::default()).unwrap()
}

#[test]
fn schemas_may_grow_and_a_breaking_one_stops_its_subject_alone() {
    let mut server = PrivateRegistry::start(programs()).unwrap_or_else(|error| panic!("{error}"));
    let strict = serde_json::json!({ "compatibility": "BACKWARD" });
    ureq::put(format!("{}/config", server.url())).send_json(strict).unwrap();
    let mut registry = client(&server.url());
    registry.check().unwrap();
    let of = |columns: &[(&str, u32, i32)]| schemas(&relation(columns), &Modes::default());

    let first = registry.register_topic("p.shop.t", &of(&[("id", 23, -1), ("note", 25, -1)])).unwrap();
    let again = client(&server.url()).register_topic("p.shop.t", &of(&[("id", 23, -1), ("note", 25, -1)])).unwrap();
    assert_eq!(again, first);
    let grown = of(&[("id", 23, -1), ("note", 25, -1), ("price", 1700, -1)]);
    let grown_ids = registry.register_topic("p.shop.t", &grown).unwrap();
    assert_eq!((grown_ids.key, grown_ids.value == first.value), (first.key, false));

    let broken = registry.register_topic("p.shop.t", &of(&[("id", 23, -1), ("note", 16, -1)])).unwrap_err();
    let RegistryError::Incompatible { subject, said } = &broken else { panic!("{broken:?}") };
    assert_eq!(subject, "p.shop.t-value");
    assert!(said.starts_with("409 "), "{said}");
    registry.register_topic("p.shop.u", &of(&[("id", 20, -1), ("note", 16, -1)])).unwrap();
    for others in [Schemas::of_messages(), Schemas::of_transactions(), Schemas::of_heartbeats()] {
        registry.register_topic(&format!("p.{}", others.value.len()), &others).unwrap();
    }

    server.kill9().unwrap();
    assert_eq!(registry.register_topic("p.shop.t", &grown), Ok(grown_ids), "known, so nobody is asked");
    let lost = registry.register_topic("p.shop.v", &grown).unwrap_err();
    assert!(matches!(lost, RegistryError::Unreachable { .. }), "{lost:?}");
    server.start_again().unwrap();
    registry.register_topic("p.shop.v", &grown).unwrap();
}

/// The settings of pgtape's sessions.
const SESSION: &str = "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3;
    SET bytea_output = hex; SET lc_monetary = 'C'; SET timezone = 'UTC';";

/// A value of a type: OID, type modifier, and its text as the server sends it.
fn sent(database: &Database, values: &[(&str, &str)]) -> Vec<(u32, i32, String)> {
    let mut sql = SESSION.to_owned();
    for (at, (name, text)) in values.iter().enumerate() {
        sql += &format!(
            "CREATE TABLE v{at} AS SELECT {}::{name} AS c;
             SELECT json_build_array(atttypid::bigint, atttypmod, (SELECT format('%s', c) FROM v{at}))
               FROM pg_attribute WHERE attrelid = 'v{at}'::regclass AND attname = 'c';",
            quoted(text)
        );
    }
    let printed = database.psql(&sql).unwrap();
    let lines = printed.lines().filter(|line| line.starts_with('['));
    let sent = lines.map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = |at: usize| line[at].as_i64().unwrap();
        (u32::try_from(number(0)).unwrap(), i32::try_from(number(1)).unwrap(), line[2].as_str().unwrap().to_owned())
    });
    sent.collect()
}

fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// An SQL expression of a value that Avro's tools printed, by the meaning that its schema gives it.
fn sql_of(schema: &Value, value: &Value) -> String {
    // A record that was defined before is its name alone.
    let meaning = schema["connect.name"].as_str().or(schema.as_str()).unwrap_or_default();
    let kind = schema["type"].as_str().or(schema.as_str()).unwrap_or_default();
    let integer = || value.as_i64().unwrap_or_else(|| panic!("{value}"));
    let moment = |unit_us: i64| {
        let (days, rest) =
            (integer().div_euclid(86_400_000_000 / unit_us), integer().rem_euclid(86_400_000_000 / unit_us));
        format!("timestamp '1970-01-01' + {days} * interval '1 day' + interval '{} microseconds'", rest * unit_us)
    };
    match (meaning, kind) {
        ("io.debezium.time.Date", "int") => format!("date '1970-01-01' + {}", integer()),
        ("io.debezium.time.MicroTime", "long") if integer() == 86_400_000_000 => "time '24:00'".to_owned(),
        ("io.debezium.time.MicroTime", "long") => format!("time '00:00' + interval '{} microseconds'", integer()),
        ("io.debezium.time.MicroTimestamp", "long") => moment(1),
        ("io.debezium.time.Timestamp", "long") => moment(1_000),
        // Postgres knows no plus before a year.
        ("io.debezium.time.ZonedTimestamp", "string") => quoted(value.as_str().unwrap().trim_start_matches('+')),
        ("io.debezium.data.Bits", "bytes") => {
            let bits: String = bytes(value).iter().rev().map(|byte| format!("{byte:08b}")).collect();
            format!("B'{bits}'")
        }
        ("io.debezium.data.geometry.Point", _) => {
            let double = |name: &str| value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned);
            format!("point(float8 '{}', float8 '{}')", double("x"), double("y"))
        }
        (_, "bytes") => {
            let digits: String = bytes(value).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'::bytea")
        }
        (_, "array") => {
            let items = &schema["items"][1];
            let item = |item: &Value| match item.as_object().and_then(|branch| branch.values().next()) {
                Some(inside) => sql_of(items, inside),
                None => "NULL".to_owned(),
            };
            format!("ARRAY[{}]", value.as_array().unwrap().iter().map(item).collect::<Vec<_>>().join(","))
        }
        (_, "string") => quoted(match value.as_str().unwrap() {
            "NAN" => "NaN",
            "POSITIVE_INFINITY" => "Infinity",
            "NEGATIVE_INFINITY" => "-Infinity",
            text => text,
        }),
        _ => quoted(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}

/// Avro's JSON has a character for each byte.
fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn values_of_every_type_come_back_through_avros_own_reader() {
    let database = database();
    // As a number of microseconds an interval would not come back: a month is none.
    let modes = Modes { intervals: Intervals::IsoString, ..Modes::default() };
    let all = TYPES.iter().filter(|(name, _)| !name.starts_with("shop."));
    let all = all.flat_map(|(name, texts)| texts.iter().map(move |text| (*name, *text)));
    // "char" holds half of an é.
    let values: Vec<(&str, &str)> = all.filter(|(_, text)| !["shop.every_type", "é"].contains(text)).collect();
    let sent = sent(&database, &values);
    assert_eq!(sent.len(), values.len());

    // One table with a column of each value, one row with all that can be written.
    let names: Vec<String> = (0..sent.len()).map(|at| format!("c{at}")).collect();
    let columns = names.iter().zip(&sent).map(|(name, (oid, modifier, _))| (name.as_str(), *oid, *modifier));
    let columns: Vec<_> = [("id", 23, -1)].into_iter().chain(columns).collect();
    let relation = relation(&columns);
    let table = Table::new(
        Ids { key: 1, value: 2 },
        &Connector::new("1", "p", "db"),
        &relation,
        None,
        &modes,
        &Types::default(),
    );
    let mut left_out = Vec::new();
    let record = loop {
        let cell = |(at, (_, _, text)): (usize, &(u32, i32, String))| match left_out.contains(&at) {
            true => None,
            false => Some(text.clone()),
        };
        let texts: Vec<Option<String>> =
            [Some("1".to_owned())].into_iter().chain(sent.iter().enumerate().map(cell)).collect();
        let cells = texts.iter().map(|text| text.as_ref().map_or(Cell::Null, |text| Cell::Text(text.as_bytes())));
        let mut message = Vec::new();
        encode_insert(1, cells, &mut message);
        let Message::Insert { new, .. } = decode(&message).unwrap() else { panic!("not an insert") };
        let mut records = Records::default();
        match table.insert(new, &STAMP, &mut records) {
            Ok(_) => break records.iter().next().unwrap().value.unwrap().to_vec(),
            Err(unfit) => left_out.push(names.iter().position(|name| **name == *unfit.column).unwrap()),
        }
    };
    let refused: Vec<_> = left_out.iter().map(|at| values[*at]).collect();
    let want = [("date", "infinity"), ("date", "-infinity"), ("timestamp", "infinity"), ("int[]", "{{1,2},{3,4}}")];
    assert_eq!(refused, want);

    assert_eq!(record[..5], [0, 0, 0, 0, 2]);
    let schema = schemas(&relation, &modes).value;
    let read = programs().read_avro(&schema, &record[5..]).unwrap_or_else(|error| panic!("{error}"));
    let row = &read[0]["after"]["p.shop.t.Value"];
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let fields = schema["fields"][0]["type"][1]["fields"].as_array().unwrap();
    let mut sql = SESSION.to_owned();
    for (at, (name, _)) in values.iter().enumerate().filter(|(at, _)| !left_out.contains(at)) {
        let field = &fields[at + 1];
        let inside = row[&names[at]].as_object().and_then(|branch| branch.values().next());
        let expression = sql_of(&field["type"][1], inside.unwrap_or_else(|| panic!("{name}: {row}")));
        // Bits lose the zeros at their head, arrays their lower bounds.
        let same = match *name {
            "timetz" => format!("(({expression})::timetz AT TIME ZONE 'UTC')::text = (c AT TIME ZONE 'UTC')::text"),
            "bit(5)" | "bit varying(9)" => format!("ltrim(({expression})::text, '0') = ltrim(c::text, '0')"),
            "int[]" => format!("array_to_json(({expression})::int[])::text = array_to_json(c)::text"),
            name => format!("({expression})::{name}::text = c::text"),
        };
        sql += &format!("SELECT {at} FROM v{at} WHERE ({same}) IS NOT TRUE;");
    }
    let printed = database.psql(&sql).unwrap();
    let unequal = printed.lines().filter_map(|line| line.parse::<usize>().ok());
    let unequal: Vec<_> = unequal.map(|at| (values[at], &row[&names[at]])).collect();
    assert!(unequal.is_empty(), "{unequal:?}");
}

const STAMP: Stamp<'static> = Stamp {
    place: Place {
        commit_time_us: 1_795_262_400_123_456,
        snapshot: Snapshot::No,
        last_commit: None,
        lsn: pgtape::model::Lsn(24_023_128),
        xid: Some(748),
        origin: None,
    },
    written_us: 1_795_262_400_654_321,
    transaction: None,
};
