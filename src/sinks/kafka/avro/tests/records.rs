//! Whole records: those of Debezium, and those that it does not make.

use super::{DEFAULT, IDS, connector, hex, relation, types};
use crate::model::{Identity, Lsn, TableName};
use crate::pgoutput::{Cell, Logical, Message, OldKind, decode, encode_delete, encode_insert, encode_update};
use crate::sinks::kafka::Unfit;
use crate::sinks::kafka::avro::{Ids, Schemas, Table, put_begin, put_end, put_heartbeat, put_message};
use crate::sinks::kafka::encode::{InTransaction, Place, Records, Snapshot, Stamp, TransactionId};

/// Values of Debezium: `nokey (a int, t text)` under REPLICA IDENTITY FULL, inserted, updated, deleted, emptied.
const NOKEY: [&str; 4] = [
    "0002020202026116332e362e332e46696e616c14706f737467726573716c0873686f70bcfdf5ebbf68000a66616c736510706f737467726573022e5b223330303433393630222c223330303433393630225d02eca7dc91e3b2b00602e0a397b9c2d68cea310c7075626c69630a6e6f6b6579028c0e02f0bcd31c00000002183930323a33303034333936300202026302d89ff6ebbf6802d2cbe793e3b2b00602d085a7e1d2d68cea31",
    "02020202026102020202026216332e362e332e46696e616c14706f737467726573716c0873686f70bcfdf5ebbf68000a66616c736510706f737467726573022e5b223330303434303732222c223330303434303732225d02f8a9dc91e3b2b00602c0d1a7b9c2d68cea310c7075626c69630a6e6f6b6579028e0e02d0bed31c00000002183930333a33303034343037320202027502e69ff6ebbf68028cc0e893e3b2b00602c8e5b4e8d2d68cea31",
    "0202020202620016332e362e332e46696e616c14706f737467726573716c0873686f70bcfdf5ebbf68000a66616c736510706f737467726573022e5b223330303434323038222c223330303434323038225d028eabdc91e3b2b00602b0e5b0b9c2d68cea310c7075626c69630a6e6f6b657902900e02e0c0d31c00000002183930343a33303034343230380202026402ea9ff6ebbf6802fed8e893e3b2b006029ea7f7e9d2d68cea31",
    "000016332e362e332e46696e616c14706f737467726573716c0873686f70c2fdf5ebbf68000a66616c736510706f737467726573022e5b223330303435393736222c223330303532303536225d02d2ccdc91e3b2b00602d0e0b6bbc2d68cea310c7075626c69630a6e6f6b657902a00e02b0bbd41c00000002183931323a3330303532303536020202740298a1f6ebbf6802baaaf393e3b2b00602b0d583bdd3d68cea31",
];

/// Key and value of two messages, of a transaction's begin and end, and of a heartbeat.
const OTHERS: [(&str, &str); 5] = [
    (
        "020e70726522666978",
        "026d02cea0f6ebbf6816332e362e332e46696e616c14706f737467726573716c0873686f70befdf5ebbf68000a66616c736510706f737467726573022e5b223330303435383030222c223330303435383634225d02ccbadc91e3b2b00602e0e1a9bac2d68cea310000029e0e02d0dad31c00000002183931313a33303034353836340202020e70726522666978020400ff",
    ),
    (
        "020a6c6f6f7365",
        "026d02d0a0f6ebbf6816332e362e332e46696e616c14706f737467726573716c0873686f70befdf5ebbf68000a66616c736510706f737467726573022e5b223330303435393736222c223330303435393736225d02ccbadc91e3b2b00602e0e1a9bac2d68cea3100000002b0dcd31c00000000020a6c6f6f7365020874657874",
    ),
    ("183838343a3238373832313434", "0a424547494e183838343a3238373832313434000092fcf5ebbf68"),
    (
        "183838343a3238373832343234",
        "06454e44183838343a323837383234323402020202022c7075626c69632e31207765692d72642ec3b6f09f9880020092fcf5ebbf68",
    ),
    ("0873686f70", "8cf3f5ebbf68"),
];

/// The wire format's five bytes before a key, and before a value.
const KEY_HEAD: &str = "0000000001";
const VALUE_HEAD: &str = "0001020304";

fn stamp(commit_time_us: i64, last_commit: u64, lsn: u64, xid: Option<u32>, written_us: i64) -> Stamp<'static> {
    let (lsn, last_commit) = (Lsn(lsn), Some(Lsn(last_commit)));
    let place = Place { commit_time_us, snapshot: Snapshot::No, last_commit, lsn, xid, origin: None };
    Stamp { place, written_us, transaction: None }
}

/// With the transaction block of the first change of `table_order`.
fn numbered(stamp: Stamp<'static>, total_order: u64) -> Stamp<'static> {
    let id = TransactionId { xid: stamp.place.xid.unwrap_or_default(), lsn: stamp.place.lsn };
    Stamp { transaction: Some(InTransaction { id, total_order, table_order: 1 }), ..stamp }
}

fn cells<const N: usize>(texts: [&'static str; N]) -> impl ExactSizeIterator<Item = Cell<'static>> {
    texts.into_iter().map(|text| if text == "-" { Cell::Null } else { Cell::Text(text.as_bytes()) })
}

fn apply(table: &Table, message: &[u8], stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
    match decode(message).unwrap() {
        Message::Insert { new, .. } => table.insert(new, stamp, records),
        Message::Update { old, new, .. } => table.update(old, new, stamp, records),
        Message::Delete { kind, old, .. } => table.delete(kind, old, stamp, records),
        other => panic!("{other:?}"),
    }
}

/// `key value`, in hexadecimal, and the header.
fn printed(records: &Records) -> Vec<(String, String, String)> {
    let text = |bytes: Option<&[u8]>| bytes.map_or("NULL".to_owned(), hex);
    let header = |record: crate::sinks::kafka::encode::Record<'_>| {
        record.header.map_or(String::new(), |(header, value)| format!("{} {}", header.name(), hex(value)))
    };
    records.iter().map(|record| (text(record.key), text(record.value), header(record))).collect()
}

/// The nanoseconds of the writing, at the end, are ours: Debezium's clock has them.
fn without_nanoseconds(value: &str) -> &str {
    &value[..value.len() - 18]
}

#[test]
fn values_are_those_of_debezium() {
    let mut relation = relation("nokey", &[("a", 23, -1, true), ("t", 25, -1, true)]);
    relation.identity = Identity::Full;
    let table = Table::new(IDS, &connector(), &relation, None, &DEFAULT, &types());
    let mut records = Records::default();
    let mut message = Vec::new();
    encode_insert(1, cells(["1", "a"]), &mut message);
    let place = stamp(1_795_275_276_126_710, 30_043_960, 30_043_960, Some(902), 1_795_275_278_316_265);
    apply(&table, &message, &numbered(place, 1), &mut records).unwrap();
    message.clear();
    encode_update(1, Some((OldKind::Full, cells(["1", "a"]))), cells(["1", "b"]), &mut message);
    let place = stamp(1_795_275_276_126_844, 30_044_072, 30_044_072, Some(903), 1_795_275_278_323_718);
    apply(&table, &message, &numbered(place, 1), &mut records).unwrap();
    message.clear();
    encode_delete(1, OldKind::Full, cells(["1", "b"]), &mut message);
    let place = stamp(1_795_275_276_126_919, 30_044_208, 30_044_208, Some(904), 1_795_275_278_325_311);
    apply(&table, &message, &numbered(place, 1), &mut records).unwrap();
    let place = stamp(1_795_275_276_129_065, 30_045_976, 30_052_056, Some(912), 1_795_275_278_412_445);
    table.truncate(&numbered(place, 1), &mut records);

    let ours = printed(&records);
    assert_eq!(ours.len(), NOKEY.len());
    for ((key, value, header), theirs) in ours.iter().zip(NOKEY) {
        assert_eq!((key.as_str(), header.as_str()), ("NULL", ""));
        let theirs = format!("{VALUE_HEAD}{theirs}");
        assert_eq!(value.len(), theirs.len());
        assert_eq!(without_nanoseconds(value), without_nanoseconds(&theirs));
    }
}

#[test]
fn messages_borders_and_heartbeats_are_those_of_debezium() {
    let mut records = Records::default();
    let first = stamp(1_795_275_276_127_910, 30_045_800, 30_045_864, Some(911), 1_795_275_278_375_000);
    let message = Logical { transactional: true, lsn: Lsn(30_045_864), prefix: "pre\"fix", content: &[0, 255] };
    put_message(IDS, &connector(), &message, &numbered(first, 1), &mut records);
    let second = stamp(1_795_275_276_127_910, 30_045_976, 30_045_976, None, 1_795_275_278_376_000);
    let message = Logical { transactional: false, lsn: Lsn(30_045_976), prefix: "loose", content: b"text" };
    put_message(IDS, &connector(), &message, &second, &mut records);
    put_begin(IDS, TransactionId { xid: 884, lsn: Lsn(28_782_144) }, 1_795_275_276_041_000, &mut records);
    let table = TableName::new("public", "1 wei-rd.ö😀");
    let id = TransactionId { xid: 884, lsn: Lsn(28_782_424) };
    put_end(IDS, id, 1_795_275_276_041_000, 1, [(&table, 1)].into_iter(), &mut records);
    put_heartbeat(IDS, "shop", 1_795_275_275_462_000, &mut records);
    let want = OTHERS.map(|(key, value)| (format!("{KEY_HEAD}{key}"), format!("{VALUE_HEAD}{value}"), String::new()));
    assert_eq!(printed(&records), want);
}

#[test]
fn a_changed_key_is_a_delete_its_tombstone_and_an_insert() {
    let relation = relation("t", &[("a", 23, -1, true), ("b", 25, -1, false)]);
    let table = Table::new(Ids { value: 0x01_02_03_04, ..IDS }, &connector(), &relation, None, &DEFAULT, &types());
    let mut message = Vec::new();
    encode_update(1, Some((OldKind::Key, cells(["1", "-"]))), cells(["-3", "x"]), &mut message);
    let mut records = Records::default();
    assert_eq!(apply(&table, &message, &stamp(0, 1, 2, None, 0), &mut records), Ok(2));
    let records = printed(&records);
    let (old, new) = (format!("{KEY_HEAD}02"), format!("{KEY_HEAD}05"));
    let got: Vec<(&str, &str, &str)> =
        records.iter().map(|(key, value, header)| (&**key, &value[..value.len().min(20)], &**header)).collect();
    // Of the deleted row only the key is known; NULL stands for the rest.
    let (deleted, created) = (format!("{VALUE_HEAD}0202000016"), format!("{VALUE_HEAD}0002050202"));
    let (to_new, to_old) = (format!("__debezium.newkey {new}"), format!("__debezium.oldkey {old}"));
    assert_eq!(got, [(&*old, &*deleted, &*to_new), (&*old, "NULL", &*to_new), (&*new, &*created, &*to_old)]);
}

#[test]
fn what_the_schema_has_no_place_for_leaves_nothing_behind() {
    let relation = relation("t", &[("a", 23, -1, true), ("b", 1007, -1, false)]);
    let table = Table::new(IDS, &connector(), &relation, None, &DEFAULT, &types());
    let check = |cells_of: [&'static str; 2], column: &str, reason: &'static str| {
        let (mut message, mut records) = (Vec::new(), Records::default());
        encode_insert(1, cells(cells_of), &mut message);
        let got = apply(&table, &message, &stamp(0, 1, 2, None, 0), &mut records);
        assert_eq!(got, Err(Unfit { column: column.into(), reason }));
        assert_eq!((records.bytes(), records.iter().len()), (0, 0));
    };
    check(["-", "{}"], "a", "is part of the key and is NULL");
    check(["1", "{{1},{2}}"], "b", "has several dimensions, which Avro's schema has no place for");
}

#[test]
fn the_schemas_of_records_without_rows_are_those_of_debezium() {
    let messages = Schemas::of_messages();
    assert_eq!(
        messages.key.unwrap(),
        r#"{"type":"record","name":"MessageKey","namespace":"io.debezium.connector.postgresql","fields":[{"name":"prefix","type":["null","string"],"default":null}],"connect.version":1,"connect.name":"io.debezium.connector.postgresql.MessageKey"}"#
    );
    assert_eq!(messages.value, include_str!("message.txt").trim_end());
    let transactions = Schemas::of_transactions();
    assert_eq!(
        transactions.key.unwrap(),
        r#"{"type":"record","name":"TransactionMetadataKey","namespace":"io.debezium.connector.common","fields":[{"name":"id","type":"string"}],"connect.version":1,"connect.name":"io.debezium.connector.common.TransactionMetadataKey"}"#
    );
    assert_eq!(
        transactions.value,
        r#"{"type":"record","name":"TransactionMetadataValue","namespace":"io.debezium.connector.common","fields":[{"name":"status","type":"string"},{"name":"id","type":"string"},{"name":"event_count","type":["null","long"],"default":null},{"name":"data_collections","type":["null",{"type":"array","items":["null",{"type":"record","name":"collection","namespace":"event","fields":[{"name":"data_collection","type":"string"},{"name":"event_count","type":"long"}],"connect.version":1,"connect.name":"event.collection"}]}],"default":null},{"name":"ts_ms","type":"long"}],"connect.version":1,"connect.name":"io.debezium.connector.common.TransactionMetadataValue"}"#
    );
    let heartbeats = Schemas::of_heartbeats();
    assert_eq!(
        heartbeats.key.unwrap(),
        r#"{"type":"record","name":"ServerNameKey","namespace":"io.debezium.connector.common","fields":[{"name":"serverName","type":"string"}],"connect.version":1,"connect.name":"io.debezium.connector.common.ServerNameKey"}"#
    );
    assert_eq!(
        heartbeats.value,
        r#"{"type":"record","name":"Heartbeat","namespace":"io.debezium.connector.common","fields":[{"name":"ts_ms","type":"long"}],"connect.version":1,"connect.name":"io.debezium.connector.common.Heartbeat"}"#
    );
}
