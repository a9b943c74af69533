//! Values as a real server prints them, in Debezium's JSON, against what the same server calculates.

use pgtape::sandbox::Database;
use pgtape::sinks::kafka::json::{Decimals, Encoder, Intervals, Json, Modes, Times, Types};
use serde_json::Value;

use crate::common::database;
use crate::foreign::types::TYPES;

/// The settings of pgtape's sessions, and a seed.
const SESSION: &str = "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3;
    SET bytea_output = hex; SET lc_monetary = 'C'; DO $$ BEGIN PERFORM setseed(0.5); END $$;";

/// Type and values, by the table that is made of them: OID, type modifier, lines of `[text, expected]`.
fn values(database: &Database, zone: &str, select: &str, expected: &str) -> (u32, i32, Vec<(String, Value)>) {
    let sql = format!(
        "{SESSION} SET timezone = '{zone}'; DROP TABLE IF EXISTS v; CREATE TABLE v AS {select};
         SELECT json_build_array(atttypid::bigint, atttypmod) FROM pg_attribute
           WHERE attrelid = 'v'::regclass AND attname = 'c';
         SELECT json_build_array(format('%s', c), ({expected})::text) FROM v"
    );
    let printed = database.psql(&sql).unwrap();
    let mut lines = printed.lines().filter(|line| line.starts_with('[')).map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line[0].clone(), line[1].clone())
    });
    let (oid, modifier) = lines.next().unwrap();
    let text = |value: Value| value.as_str().unwrap().to_owned();
    let values = lines.map(|(sent, want)| (text(sent), serde_json::from_str(&text(want)).unwrap())).collect();
    let number = |value: &Value| value.as_i64().unwrap();
    (u32::try_from(number(&oid)).unwrap(), i32::try_from(number(&modifier)).unwrap(), values)
}

fn written(modes: &Modes, type_oid: u32, type_modifier: i32, text: &str) -> Result<Value, &'static str> {
    let mut out = Vec::new();
    Encoder::choose(type_oid, type_modifier, modes, &Types::default()).put::<Json>(text.as_bytes(), &mut out)?;
    Ok(serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// 200 values of `random`, an SQL expression, in the form of `modes`, are what `expected`, another one, makes of `c`.
fn check(database: &Database, modes: Modes, random: &str, expected: &str) {
    for zone in ["UTC", "Asia/Kathmandu", "America/New_York"] {
        let select = format!("SELECT {random} AS c FROM generate_series(1, 200)");
        let (type_oid, type_modifier, values) = values(database, zone, &select, expected);
        assert_eq!(values.len(), 200, "{random}");
        for (text, want) in values {
            assert_eq!(written(&modes, type_oid, type_modifier, &text), Ok(want), "{random}: {text} in {zone}");
        }
    }
}

#[test]
fn times_and_bytes_are_what_the_server_calculates() {
    let database = database();
    let check = |modes, random: &str, expected: &str| check(&database, modes, random, expected);
    let adaptive = Modes::default();
    let iso = Modes { times: Times::IsoString, intervals: Intervals::IsoString, ..adaptive };
    check(adaptive, "date '4713-01-01 BC' + (random() * 10000000)::int", "c - date '1970-01-01'");
    let any_time = "timestamp '4713-01-01 00:00:00 BC' + random() * interval '290000 years'";
    check(adaptive, any_time, "(extract(epoch FROM c) * 1000000)::numeric(30, 0)");
    check(adaptive, &format!("({any_time})::timestamp(3)"), "(extract(epoch FROM c) * 1000)::numeric(30, 0)");
    let years = "timestamptz '1700-01-01 00:00:00Z' + random() * interval '8000 years'";
    check(adaptive, years, r#"to_json(to_char(c AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))"#);
    check(iso, "date '0001-01-01' + (random() * 3000000)::int", r#"format('"%sZ"', c)"#);
    check(iso, "time '00:00:00' + random() * interval '1 day'", r#"format('"%sZ"', c)"#);
    check(adaptive, "time '00:00:00' + random() * interval '1 day'", "(extract(epoch FROM c) * 1000000)::bigint");
    let offset = "(((random() * 200 - 100)::int / 8.0) || ' hours')::interval";
    let zoned = format!("(time '00:00:00' + random() * interval '1 day') AT TIME ZONE ({offset})");
    check(adaptive, &zoned, r#"format('"%sZ"', (c AT TIME ZONE 'UTC')::time)"#);
    let interval = "make_interval(years => (random() * 200 - 100)::int, months => (random() * 24 - 12)::int,
        days => (random() * 100 - 50)::int, secs => random() * 1000000 - 500000)";
    let microseconds = "((extract(year FROM c) * 12 + extract(month FROM c)) * 2629800000000
        + extract(day FROM c) * 86400000000 + (extract(hour FROM c) * 60 + extract(minute FROM c)) * 60000000
        + extract(microseconds FROM c))::numeric(40, 0)";
    check(adaptive, interval, microseconds);
    check(adaptive, "decode(repeat(md5(random()::text), (random() * 9)::int), 'hex')", BASE64);
    check(adaptive, "ARRAY[[md5(random()::text), E'\\\\ \" ,{}'], [NULL, 'NULL']]", "to_json(c)");
}

/// The server breaks base64 into lines.
const BASE64: &str = r#"format('"%s"', translate(encode(c, 'base64'), E'\n', ''))"#;

#[test]
fn every_type_has_a_form_or_a_reason() {
    let database = database();
    database.psql("CREATE SCHEMA shop; CREATE TABLE shop.every_type (id int)").unwrap(); // What a regclass may name.
    let all = [Decimals::Text, Decimals::Precise, Decimals::Double]
        .into_iter()
        .flat_map(|decimals| [Times::Adaptive, Times::Microseconds, Times::IsoString].map(|times| (decimals, times)));
    let all: Vec<Modes> = all.map(|(decimals, times)| Modes { decimals, times, ..Modes::default() }).collect();
    let mut refused = Vec::new();
    for (name, texts) in TYPES.iter().filter(|(name, _)| !name.starts_with("shop.")) {
        for text in *texts {
            let literal = text.replace('\\', "\\\\").replace('\'', "\\'");
            let select = format!("SELECT E'{literal}'::{name} AS c");
            let (type_oid, type_modifier, values) = values(&database, "UTC", &select, "'null'");
            for modes in &all {
                if let Err(reason) = written(modes, type_oid, type_modifier, &values[0].0) {
                    refused.push(format!("{name} {text} {reason}"));
                }
            }
        }
    }
    refused.sort();
    refused.dedup();
    let want = [
        "date -infinity is infinite",
        "date infinity is infinite",
        "interval -178000000 years is too long for microseconds",
        "numeric -Infinity is NaN or infinite, which precise decimals cannot be",
        "numeric Infinity is NaN or infinite, which precise decimals cannot be",
        "numeric NaN is NaN or infinite, which precise decimals cannot be",
        "numeric[] {1.10,NaN} is NaN or infinite, which precise decimals cannot be",
        "timestamp infinity is infinite",
    ];
    assert_eq!(refused, want);
}
