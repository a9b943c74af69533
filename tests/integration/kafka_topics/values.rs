//! The table of values in docs/TOPICS.md: each line against the encoder, with the text that a server prints.

use pgtape::sinks::kafka::json::{Decimals, Encoder, Intervals, Json, Modes, Times, Types};

use super::TOPICS;
use crate::common::database;

/// Type, value, then the three forms. `\|` is not needed: no type has one.
fn lines() -> Vec<[&'static str; 5]> {
    let table = TOPICS.split("| type | Postgres prints |").nth(1).expect("the table of values");
    let cell = |cell: &'static str| cell.trim().trim_matches('`');
    let line = |line: &'static str| line.trim_matches('|').split(" | ").map(cell).collect::<Vec<_>>().try_into().ok();
    table.lines().skip(2).take_while(|line| line.starts_with('|')).map(|text| line(text).expect(text)).collect()
}

#[test]
fn the_table_of_values_is_what_is_written() {
    let database = database();
    let columns = [
        Modes::default(),
        Modes { decimals: Decimals::Precise, times: Times::Microseconds, ..Modes::default() },
        Modes {
            decimals: Decimals::Double,
            times: Times::IsoString,
            intervals: Intervals::IsoString,
            ..Modes::default()
        },
    ];
    let lines = lines();
    assert!(lines.len() >= 30, "only {} lines", lines.len());
    let mut different = Vec::new();
    for [name, printed, forms @ ..] in lines {
        let sql = format!(
            "SET datestyle = ISO; SET timezone = 'UTC'; DROP TABLE IF EXISTS v;
             CREATE TABLE v AS SELECT $v${printed}$v$::{name} AS c;
             SELECT format('%s %s %s', atttypid, atttypmod, c) FROM pg_attribute, v
               WHERE attrelid = 'v'::regclass AND attname = 'c'"
        );
        let said = database.psql(&sql).unwrap();
        let said = said.lines().last().unwrap();
        let mut parts = said.splitn(3, ' ');
        let (oid, modifier) = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
        let text = parts.next().unwrap();
        assert_eq!(text, printed, "{name}");
        for (modes, form) in columns.iter().zip(forms) {
            let mut out = Vec::new();
            let put = Encoder::choose(oid, modifier, modes, &Types::default()).put::<Json>(text.as_bytes(), &mut out);
            let written = put.map_or("refused".to_owned(), |()| String::from_utf8(out).unwrap());
            if written != form {
                different.push(format!("{name} {printed}: {written}, not {form}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
