//! Schemas beside keys and values: what Debezium and Kafka Connect's converter wrote, letter by letter.

use super::envelopes::{insert, printed};
use super::{DEFAULT, PRECISE};
use crate::model::{Column, Identity, Lsn, Relation, TableName};
use crate::pgoutput::{Message, decode};
use crate::sinks::kafka::json::{
    Connector, Heads, InTransaction, Modes, Place, Records, Snapshot, Stamp, Table, Times, TransactionId, Types,
    put_heartbeat,
};

/// See its head.
const WRITTEN: &str = include_str!("schemas.tsv");

const HSTORE: u32 = 20_003;

/// The columns of `pair`: name, OID, type modifier. The first is the key. An array of points is left out by Debezium.
const PAIR: &[(&str, u32, i32)] = &[
    ("id", 23, -1),
    ("t", 25, -1),
    ("by", 17, -1),
    ("s", 21, -1),
    ("l", 20, -1),
    ("b", 16, -1),
    ("f", 700, -1),
    ("g", 701, -1),
    ("n", 1700, -1),
    ("n2", 1700, 655_366),
    ("d", 1082, -1),
    ("t6", 1083, -1),
    ("tz", 1266, -1),
    ("ts", 1114, -1),
    ("ts3", 1114, 3),
    ("z", 1184, -1),
    ("iv", 1186, -1),
    ("u", 2950, -1),
    ("jb", 3802, -1),
    ("x", 142, -1),
    ("p", 600, -1),
    ("hs", HSTORE, -1),
    ("v", 1562, -1),
    ("b8", 1560, 8),
    ("ia", 1007, -1),
    ("ta", 1009, -1),
    ("da", 1182, -1),
    ("na", 1231, -1),
    ("Grö ße", 25, -1),
];

fn relation(table: &str, columns: &[(&str, u32, i32)], keys: usize) -> Relation {
    let column = |(at, &(name, type_oid, type_modifier)): (usize, &(&str, u32, i32))| Column {
        name: name.into(),
        in_identity: at < keys,
        type_oid,
        type_modifier,
    };
    let columns = columns.iter().enumerate().map(column).collect();
    Relation { id: 1, table: TableName::new("public", table), identity: Identity::Default, columns }
}

fn connector() -> Connector {
    Connector::new("3.6.3.Final", "shop", "postgres")
}

/// Key and value, as what stands before the payload.
fn of_table(relation: &Relation, modes: &Modes) -> Heads {
    let mut types = Types::default();
    types.learn(HSTORE, "public", "hstore");
    Heads::of_table(&connector(), relation, None, modes, &types)
}

#[test]
fn schemas_are_those_of_debezium_letter_by_letter() {
    let micro = Modes { times: Times::Microseconds, ..PRECISE };
    let of_column = |table: &str| relation(table, &[("a", 23, -1)], 1);
    let made = |mode: &str, topic: &str| match topic {
        "shop.public.pair" => of_table(&relation("pair", PAIR, 1), if mode == "precise" { &micro } else { &DEFAULT }),
        "shop.public.nokey" => of_table(&relation("nokey", &[("a", 23, -1), ("t", 25, -1)], 0), &DEFAULT),
        "shop.public.Wei_rd._" => of_table(&of_column("Wei rd.ö"), &DEFAULT),
        "shop.message" => Heads::of_messages(),
        "shop.transaction" => Heads::of_transactions(),
        "__debezium-heartbeat.shop" => Heads::of_heartbeats(),
        other => panic!("{other}"),
    };
    let lines = WRITTEN.lines().filter(|line| !line.starts_with('#'));
    let mut seen = 0;
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[mode, topic, part, theirs] = &fields[..] else { panic!("{line}") };
        let (heads, mut ours) = (made(mode, topic), Vec::new());
        match part {
            "key" => Heads::open_key(Some(&heads), &mut ours),
            _ => Heads::open_value(Some(&heads), &mut ours),
        }
        let theirs = format!("{{\"schema\":{theirs},\"payload\":");
        assert_eq!(String::from_utf8(ours).unwrap(), theirs, "{mode} {topic} {part}");
        seen += 1;
    }
    assert_eq!(seen, 12);
}

/// Of Debezium, whole; but for the nanoseconds of the writing, which are ours.
const PAYLOAD: &str = r#"{"before":null,"after":{"a":99,"t":"end"},"source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795278955723,"snapshot":"false","db":"postgres","sequence":"[\"23105464\",\"23105464\"]","ts_us":1795278955723336,"ts_ns":1795278955723336000,"schema":"public","table":"nokey","txId":747,"lsn":23105464,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"747:23105464","total_order":1,"data_collection_order":1},"op":"c","ts_ms":1795278956169,"ts_us":1795278956169353,"ts_ns":1795278956169353000}"#;

#[test]
fn keys_and_values_are_payloads_beside_their_schemas() {
    let lsn = Lsn(23_105_464);
    let commit_time_us = 1_795_278_955_723_336;
    let place =
        Place { commit_time_us, snapshot: Snapshot::No, last_commit: Some(lsn), lsn, xid: Some(747), origin: None };
    let id = TransactionId { xid: 747, lsn };
    let transaction = Some(InTransaction { id, total_order: 1, table_order: 1 });
    let stamp = Stamp { place, written_us: 1_795_278_956_169_353, transaction };
    let columns = [("a", 23, -1), ("t", 25, -1)];
    let row = insert(["99", "end"]);
    let Message::Insert { new, .. } = decode(&row).unwrap() else { panic!("not an insert") };
    let mut records = Records::default();
    let schema = |topic: &str, part: &str| {
        let line = WRITTEN.lines().find(|line| line.contains(&format!("\t{topic}\t{part}\t"))).unwrap();
        line.rsplit('\t').next().unwrap()
    };
    let nokey = Table::with_schemas(&connector(), &relation("nokey", &columns, 0), None, &DEFAULT, &Types::default());
    nokey.insert(new, &stamp, &mut records).unwrap();
    let want = format!("NULL | {{\"schema\":{},\"payload\":{PAYLOAD}}}", schema("shop.public.nokey", "value"));
    assert_eq!(printed(&records), [want]);

    // A key and its headers are wrapped, too; a tombstone stays null.
    records.clear();
    let keyed = relation("nokey", &columns, 1);
    let table = Table::with_schemas(&connector(), &keyed, None, &DEFAULT, &Types::default());
    table.delete(crate::pgoutput::OldKind::Key, new, &stamp, &mut records).unwrap();
    let parts: Vec<_> = records.iter().map(|record| (record.key.unwrap().to_vec(), record.value.is_some())).collect();
    let key: serde_json::Value = serde_json::from_slice(&parts[0].0).unwrap();
    assert_eq!((&key["payload"]["a"], &key["schema"]["fields"][0]["type"]), (&99.into(), &"int32".into()));
    assert_eq!((parts.len(), parts[0].1, parts[1].1, &parts[0].0), (2, true, false, &parts[1].0));

    records.clear();
    put_heartbeat(Some(&Heads::of_heartbeats()), "shop", 1_795_278_956_169_353, &mut records);
    let (key, value) = (schema("__debezium-heartbeat.shop", "key"), schema("__debezium-heartbeat.shop", "value"));
    let want = format!(
        "{{\"schema\":{key},\"payload\":{{\"serverName\":\"shop\"}}}} | {{\"schema\":{value},\"payload\":{{\"ts_ms\":1795278956169}}}}"
    );
    assert_eq!(printed(&records), [want]);
}
