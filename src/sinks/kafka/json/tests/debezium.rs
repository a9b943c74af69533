//! What Debezium 3.6.3 wrote, value by value, and every place where we do not.

use super::{DEFAULT, ISO, MICROSECONDS, PRECISE};
use crate::sinks::kafka::json::{Decimals, Encoder, Modes, Types};

/// See its head.
const WRITTEN: &str = include_str!("debezium.tsv");

/// `type text theirs ours` of every difference, and why.
const DIFFERENCES: &[(&str, &[&str])] = &[
    ("the stream does not tell a domain's scale", &[r#"cents 3.50 "AV4=" {"scale":1,"value":"Iw=="}"#]),
    ("a name is text", &["name nm null \"nm\""]),
    ("several dimensions are kept", &["_int4 {{1,2},{3,4}} [null,null] [[1,2],[3,4]]"]),
    ("arrays of bits are kept", &["_bit {1,0} null [true,false]"]),
    (
        "values without a form are refused, not replaced",
        &[
            "numeric NaN null is NaN or infinite, which precise decimals cannot be",
            "numeric Infinity null is NaN or infinite, which precise decimals cannot be",
            "date infinity -2147472692 is infinite",
            "date -infinity -2147472691 is infinite",
            "timestamp infinity 9223372036825200000 is infinite",
            "timestamp infinity 9223372036825200 is infinite",
            "timestamp -infinity -9223372036832400000 is infinite",
            "timestamp -infinity -9223372036832400 is infinite",
        ],
    ),
    (
        "infinity is not a day",
        &[
            "date infinity \"-5877611-06-21Z\" \"infinity\"",
            "date -infinity \"-5877611-06-22Z\" \"-infinity\"",
            "timestamp infinity \"+294247-01-10T04:00:25.2Z\" \"infinity\"",
            "timestamp -infinity \"-290308-12-21T19:59:27.6Z\" \"-infinity\"",
        ],
    ),
    (
        "the end of a day is not its start",
        &["timetz 24:00:00+00 \"00:00:00Z\" \"24:00:00Z\"", "time 24:00:00 \"00:00:00Z\" \"24:00:00Z\""],
    ),
    ("the same double, in Postgres's shortest digits", &["float8 5e-324 4.9E-324 5.0E-324"]),
];

/// The fixture's types that are not built in.
fn types() -> Types {
    let mut types = Types::default();
    types.learn(20_001, "public", "mood");
    types.learn(20_002, "public", "_mood");
    types.learn(20_003, "public", "hstore");
    types.learn(20_004, "", "numeric");
    types
}

fn ours(modes: &Modes, type_oid: u32, type_modifier: i32, text: &str) -> String {
    let mut out = Vec::new();
    match Encoder::choose(type_oid, type_modifier, modes, &types()).put(text.as_bytes(), &mut out) {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(reason) => reason.to_owned(),
    }
}

#[test]
fn values_are_those_of_debezium_but_for_these() {
    let modes = [DEFAULT, Modes { times: MICROSECONDS.times, ..PRECISE }, Modes { decimals: Decimals::Double, ..ISO }];
    let mut differences: Vec<String> = Vec::new();
    for line in WRITTEN.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, oid, modifier, text, ref theirs @ ..] = &fields[..] else { panic!("{line}") };
        let text: String = serde_json::from_str(text).unwrap();
        for (modes, theirs) in modes.iter().zip(theirs) {
            let ours = ours(modes, oid.parse().unwrap(), modifier.parse().unwrap(), &text);
            if *theirs == "-" {
                serde_json::from_str::<serde_json::Value>(&ours).expect("what they leave out, we write");
            } else if ours != *theirs {
                differences.push(format!("{name} {text} {theirs} {ours}"));
            }
        }
    }
    let mut known: Vec<&str> = DIFFERENCES.iter().flat_map(|(_, differences)| differences.iter().copied()).collect();
    differences.sort();
    differences.dedup();
    known.sort_unstable();
    assert_eq!(differences, known);
}
