//! What Debezium 3.6.3 wrote, value by value and in whole records, and every place where we do not.

use std::sync::Arc;

use super::envelopes::{insert, printed};
use super::{DEFAULT, ISO, MICROSECONDS, PRECISE};
use crate::model::{Column, Identity, Lsn, Relation, TableName};
use crate::pgoutput::{Logical, Message, decode};
use crate::sinks::kafka::json::{
    Connector, Decimals, Encoder, InTransaction, Json, Modes, Place, Records, Snapshot, Stamp, Table, TransactionId,
    Types, put_begin, put_end, put_message,
};

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
    match Encoder::choose(type_oid, type_modifier, modes, &types()).put::<Json>(text.as_bytes(), &mut out) {
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

/// Whole records of Debezium, `key | value`. Only the nanoseconds of the writing are ours: its clock has them.
const RECORDS: [&str; 5] = [
    r#"{"a":1} | {"before":null,"after":{"a":1,"b":1,"t":"q"},"source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795268861370,"snapshot":"last","db":"postgres","sequence":"[null,\"27423992\"]","ts_us":1795268861370514,"ts_ns":1795268861370514000,"schema":"public","table":"uidx","txId":849,"lsn":27423992,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"r","ts_ms":1795268862027,"ts_us":1795268862027042,"ts_ns":1795268862027042000}"#,
    r#"{"a":1} | {"before":null,"after":{"a":1,"b":2,"t":"x"},"source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795268516787,"snapshot":"false","db":"postgres","sequence":"[\"24321320\",\"24321320\"]","ts_us":1795268516787355,"ts_ns":1795268516787355000,"schema":"public","table":"uidx","txId":760,"lsn":24321320,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"760:24321320","total_order":1,"data_collection_order":1},"op":"c","ts_ms":1795268518897,"ts_us":1795268518897995,"ts_ns":1795268518897995000}"#,
    r#"{"prefix":"loose"} | {"op":"m","ts_ms":1795268519005,"source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795268516788,"snapshot":"false","db":"postgres","sequence":"[\"24322992\",\"24322992\"]","ts_us":1795268516788068,"ts_ns":1795268516788068000,"schema":"","table":"","txId":null,"lsn":24322992,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"message":{"prefix":"loose","content":"dGV4dA=="}}"#,
    r#"{"id":"740:23063008"} | {"status":"BEGIN","id":"740:23063008","event_count":null,"data_collections":null,"ts_ms":1795268516671}"#,
    r#"{"id":"740:23064640"} | {"status":"END","id":"740:23064640","event_count":1,"data_collections":[{"data_collection":"public.every","event_count":1}],"ts_ms":1795268516671}"#,
];

/// A stamp of the stream, without a transaction block.
fn stamp(commit_time_us: i64, lsn: u64, xid: Option<u32>, written_us: i64) -> Stamp<'static> {
    let lsn = Lsn(lsn);
    let place = Place { commit_time_us, snapshot: Snapshot::No, last_commit: Some(lsn), lsn, xid, origin: None };
    Stamp { place, written_us, transaction: None }
}

#[test]
fn records_are_those_of_debezium() {
    let connector = Arc::new(Connector::new("3.6.3.Final", "shop", "postgres"));
    let column =
        |name: &str, type_oid| Column { name: name.into(), in_identity: name == "a", type_oid, type_modifier: -1 };
    let columns = vec![column("a", 23), column("b", 23), column("t", 25)];
    let table = TableName::new("public", "uidx");
    let relation = Relation { id: 1, table, identity: Identity::Default, columns };
    let table = Table::new(&connector, &relation, None, &DEFAULT, &Types::default());
    let mut records = Records::default();

    let mut copied = stamp(1_795_268_861_370_514, 27_423_992, Some(849), 1_795_268_862_027_042);
    copied.place = Place { snapshot: Snapshot::Last, last_commit: None, ..copied.place };
    let row = insert(["1", "1", "q"]);
    let Message::Insert { new, .. } = decode(&row).unwrap() else { panic!("not an insert") };
    table.read(new, &copied, &mut records).unwrap();

    let mut inserted = stamp(1_795_268_516_787_355, 24_321_320, Some(760), 1_795_268_518_897_995);
    let id = TransactionId { xid: 760, lsn: Lsn(24_321_320) };
    inserted.transaction = Some(InTransaction { id, total_order: 1, table_order: 1 });
    let row = insert(["1", "2", "x"]);
    let Message::Insert { new, .. } = decode(&row).unwrap() else { panic!("not an insert") };
    table.insert(new, &inserted, &mut records).unwrap();

    let said = stamp(1_795_268_516_788_068, 24_322_992, None, 1_795_268_519_005_000);
    let message = Logical { transactional: false, lsn: Lsn(24_322_992), prefix: "loose", content: b"text" };
    put_message(None, &connector, &message, &said, &mut records);
    let id = |lsn| TransactionId { xid: 740, lsn: Lsn(lsn) };
    put_begin(None, id(23_063_008), 1_795_268_516_671_318, &mut records);
    let every = TableName::new("public", "every");
    put_end(None, id(23_064_640), 1_795_268_516_671_318, 1, [(&every, 1)].into_iter(), &mut records);
    assert_eq!(printed(&records), RECORDS);
}
