//! What Debezium 3.6.3 and the converter made of the same columns and values, and every place where we do not.

use serde_json::Value;

use super::{DEFAULT, DOUBLE_ISO, PRECISE, relation, schemas, value};
use crate::sinks::kafka::avro::Schemas;
use crate::sinks::kafka::encode::Modes;

/// See their heads.
const SCHEMAS: &str = include_str!("schemas.tsv");
const VALUES: &str = include_str!("values.tsv");
/// Key and value of `toasted (id int primary key, ..)`, whole.
const TOASTED: &str = include_str!("toasted.txt");

const MODES: [Modes; 3] = [DEFAULT, PRECISE, DOUBLE_ISO];

/// Columns whose schema differs, and why. The rest is equal, the order of attributes included.
const SCHEMA_DIFFERENCES: &[(&str, &[&str])] = &[
    ("the stream tells neither that a type is an enum nor its labels", &["mood", "_mood"]),
    ("the stream does not tell a domain's scale", &["cents"]),
    ("arrays of bits are kept", &["_bit"]),
];

/// `type text theirs ours` of every difference, and why.
const VALUE_DIFFERENCES: &[(&str, &[&str])] = &[
    ("the stream does not tell a domain's scale", &["cents 3.50 0204015e 02020223"]),
    ("a name is text", &["name nm 00 02046e6d"]),
    (
        "several dimensions are refused, not emptied",
        &["_int4 {{1,2},{3,4}} 0204000000 has several dimensions, which Avro's schema has no place for"],
    ),
    ("arrays of bits are kept", &["_bit {1,0} 00 02040201020000"]),
    ("items of an array may be NULL", &["_mood {ok,sad} 0204046f6b0673616400 020402046f6b020673616400"]),
    (
        "values without a form are refused, not replaced",
        &[
            "numeric NaN 00 is NaN or infinite, which precise decimals cannot be",
            "numeric Infinity 00 is NaN or infinite, which precise decimals cannot be",
            "date infinity 02e7d4feff0f is infinite",
            "date -infinity 02e5d4feff0f is infinite",
            "timestamp infinity 02e08197def4a6e220 is infinite",
            "timestamp infinity 0280d6e5e3ffffffffff01 is infinite",
            "timestamp -infinity 029ff297def4a6e220 is infinite",
            "timestamp -infinity 02ffc9d4eaffffffffff01 is infinite",
        ],
    ),
    (
        "infinity is not a day",
        &[
            "date infinity 021e2d353837373631312d30362d32315a 0210696e66696e697479",
            "date -infinity 021e2d353837373631312d30362d32325a 02122d696e66696e697479",
            "timestamp infinity 02322b3239343234372d30312d31305430343a30303a32352e325a 0210696e66696e697479",
            "timestamp -infinity 02322d3239303330382d31322d32315431393a35393a32372e365a 02122d696e66696e697479",
        ],
    ),
    (
        "the end of a day is not its start",
        &[
            "time 24:00:00 021230303a30303a30305a 021232343a30303a30305a",
            "timetz 24:00:00+00 021230303a30303a30305a 021232343a30303a30305a",
        ],
    ),
];

#[test]
fn schemas_of_columns_are_those_of_debezium_but_for_these() {
    let mut differences = Vec::new();
    for line in SCHEMAS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, oid, modifier, ref theirs @ ..] = &fields[..] else { panic!("{line}") };
        for (modes, theirs) in MODES.iter().zip(theirs) {
            let relation = relation("t", &[("c", oid.parse().unwrap(), modifier.parse().unwrap(), false)]);
            let ours: Value = serde_json::from_str(&schemas(&relation, modes).value).unwrap();
            let ours = ours["fields"][0]["type"][1]["fields"][0]["type"].to_string();
            if ours != *theirs {
                differences.push(name);
            }
        }
    }
    differences.dedup();
    let mut known: Vec<&str> = SCHEMA_DIFFERENCES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    differences.sort_unstable();
    known.sort_unstable();
    assert_eq!(differences, known);
}

#[test]
fn values_are_those_of_debezium_but_for_these() {
    let mut differences: Vec<String> = Vec::new();
    for line in VALUES.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, oid, modifier, text, ref theirs @ ..] = &fields[..] else { panic!("{line}") };
        let text: String = serde_json::from_str(text).unwrap();
        for (modes, theirs) in MODES.iter().zip(theirs) {
            let ours = value(modes, oid.parse().unwrap(), modifier.parse().unwrap(), &text);
            let ours = ours.unwrap_or_else(str::to_owned);
            if ours != *theirs {
                differences.push(format!("{name} {text} {theirs} {ours}"));
            }
        }
    }
    let mut known: Vec<&str> =
        VALUE_DIFFERENCES.iter().flat_map(|(_, differences)| differences.iter().copied()).collect();
    differences.sort();
    differences.dedup();
    known.sort_unstable();
    assert_eq!(differences, known);
}

#[test]
fn the_schemas_of_a_table_are_those_of_debezium_letter_by_letter() {
    let columns = [
        ("id", 23, -1, true),
        ("t", 25, -1, false),
        ("by", 17, -1, false),
        ("ta", 1009, -1, false),
        ("ia", 1007, -1, false),
        ("ba", 1016, -1, false),
        ("n", 1700, -1, false),
        ("jb", 3802, -1, false),
        ("hs", 20_003, -1, false),
        ("da", 1182, -1, false),
        ("ua", 2951, -1, false),
        ("x", 142, -1, false),
        ("v", 1562, -1, false),
    ];
    let ours = schemas(&relation("toasted", &columns), &DEFAULT);
    let (key, value) = TOASTED.trim_end().split_once('\n').unwrap();
    assert_eq!(ours, Schemas { key: Some(key.to_owned()), value: value.to_owned() });
}
