//! Each operation, and the records without rows.

use std::sync::Arc;

use super::DEFAULT;
use crate::model::{Column, Identity, Lsn, Relation, TableName};
use crate::pgoutput::{
    Cell, Lineage, Logical, Message, OldKind, TableFacts, decode, encode_delete, encode_insert, encode_update,
};
use crate::sinks::kafka::Unfit;
use crate::sinks::kafka::json::{
    Compat, Connector, Header, InTransaction, Modes, Place, Records, Snapshot, Stamp, Table, TransactionId, Types,
    put_begin, put_end, put_heartbeat, put_message,
};

pub(super) const STAMP: Stamp<'static> = Stamp {
    place: Place {
        commit_time_us: 1_795_262_400_123_456,
        snapshot: Snapshot::No,
        last_commit: Some(Lsn(24_023_000)),
        lsn: Lsn(24_023_128),
        xid: Some(748),
        origin: None,
    },
    written_us: 1_795_262_400_654_321,
    transaction: None,
};

/// What follows the row in `STAMP`.
const SOURCE: &str = r#""source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795262400123,"snapshot":"false","db":"ledger","sequence":"[\"24023000\",\"24023128\"]","ts_us":1795262400123456,"ts_ns":1795262400123456000,"schema":"public","table":"orders","txId":748,"lsn":24023128,"xmin":null,"origin":null,"origin_lsn":null}"#;
const TIMES: &str = r#""ts_ms":1795262400654,"ts_us":1795262400654321,"ts_ns":1795262400654321000}"#;

/// An envelope around the given rows.
fn envelope(op: char, before: &str, after: &str) -> String {
    format!(r#"{{"before":{before},"after":{after},{SOURCE},"transaction":null,"op":"{op}",{TIMES}"#)
}

pub(super) fn connector() -> Arc<Connector> {
    Arc::new(Connector::new("3.6.3.Final", "shop", "ledger"))
}

/// `public.orders (b int8, note text, a int4)` with the primary key (a, b).
struct Orders {
    table: Table,
    records: Records,
}

impl Orders {
    fn new(identity: Identity, modes: Modes, keyed: bool) -> Self {
        let column = |name: &str, type_oid, is_key: bool| Column {
            name: name.into(),
            in_identity: identity == Identity::Full || (keyed && is_key),
            type_oid,
            type_modifier: -1,
        };
        let columns = vec![column("b", 20, true), column("note", 25, false), column("a", 23, true)];
        let relation = Relation { id: 1, table: TableName::new("public", "orders"), identity, columns };
        let primary_key = if keyed { vec!["a".to_owned(), "b".to_owned()] } else { Vec::new() };
        let facts = TableFacts { relation, primary_key, indexes: Vec::new(), lineage: Lineage::default() };
        let table = Table::new(&connector(), &facts.relation, Some(&facts), &modes, &Types::default());
        Self { table, records: Records::default() }
    }

    /// Applies the message, and returns its records as `key | value | header`.
    fn apply(&mut self, message: &[u8], stamp: &Stamp<'_>) -> Result<(u64, Vec<String>), Unfit> {
        self.records.clear();
        let numbered = match decode(message).unwrap() {
            Message::Insert { new, .. } => self.table.insert(new, stamp, &mut self.records),
            Message::Update { old, new, .. } => self.table.update(old, new, stamp, &mut self.records),
            Message::Delete { kind, old, .. } => self.table.delete(kind, old, stamp, &mut self.records),
            other => panic!("{other:?}"),
        };
        numbered.map(|numbered| (numbered, printed(&self.records)))
    }
}

pub(super) fn printed(records: &Records) -> Vec<String> {
    let text = |bytes: Option<&[u8]>| bytes.map_or("NULL".to_owned(), |b| String::from_utf8(b.to_vec()).unwrap());
    let header = |header: Option<(Header, &[u8])>| {
        header.map_or(String::new(), |(header, value)| format!(" | {}: {}", header.name(), text(Some(value))))
    };
    records.iter().map(|r| format!("{} | {}{}", text(r.key), text(r.value), header(r.header))).collect()
}

/// `-` is NULL, `~` was not sent.
fn cells<const N: usize>(texts: [&'static str; N]) -> impl ExactSizeIterator<Item = Cell<'static>> {
    texts.into_iter().map(|text| match text {
        "-" => Cell::Null,
        "~" => Cell::Unchanged,
        text => Cell::Text(text.as_bytes()),
    })
}

pub(super) fn insert<const N: usize>(new: [&'static str; N]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_insert(1, cells(new), &mut out);
    out
}

fn update(old: Option<(OldKind, [&'static str; 3])>, new: [&'static str; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_update(1, old.map(|(kind, old)| (kind, cells(old))), cells(new), &mut out);
    out
}

fn delete(kind: OldKind, old: [&'static str; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_delete(1, kind, cells(old), &mut out);
    out
}

const OLD_KEY: &str = r#"{"a":1,"b":2}"#;
const ROW: &str = r#"{"b":2,"note":"x","a":1}"#;

#[test]
fn rows_under_the_default_identity() {
    let mut orders = Orders::new(Identity::Default, DEFAULT, true);
    let mut check = |message: Vec<u8>, want: (u64, Vec<String>)| {
        assert_eq!(orders.apply(&message, &STAMP), Ok(want));
    };
    check(insert(["2", "x", "1"]), (1, vec![format!("{OLD_KEY} | {}", envelope('c', "null", ROW))]));
    check(
        insert(["2", "-", "1"]),
        (1, vec![format!("{OLD_KEY} | {}", envelope('c', "null", r#"{"b":2,"note":null,"a":1}"#))]),
    );
    check(update(None, ["2", "x", "1"]), (1, vec![format!("{OLD_KEY} | {}", envelope('u', "null", ROW))]));
    check(
        update(None, ["2", "~", "1"]),
        (
            1,
            vec![format!(
                "{OLD_KEY} | {}",
                envelope('u', "null", r#"{"b":2,"note":"__debezium_unavailable_value","a":1}"#)
            )],
        ),
    );
    check(
        update(Some((OldKind::Key, ["2", "-", "1"])), ["2", "x", "1"]),
        (1, vec![format!("{OLD_KEY} | {}", envelope('u', "null", ROW))]),
    );
    check(
        delete(OldKind::Key, ["2", "-", "1"]),
        (
            1,
            vec![
                format!("{OLD_KEY} | {}", envelope('d', r#"{"b":2,"note":null,"a":1}"#, "null")),
                format!("{OLD_KEY} | NULL"),
            ],
        ),
    );
}

#[test]
fn an_update_of_the_key_is_a_delete_its_tombstone_and_an_insert() {
    let new_key = r#"{"a":7,"b":2}"#;
    let check = |identity, message: Vec<u8>, before: &str, after: &str| {
        let want = vec![
            format!("{OLD_KEY} | {} | __debezium.newkey: {new_key}", envelope('d', before, "null")),
            format!("{OLD_KEY} | NULL | __debezium.newkey: {new_key}"),
            format!("{new_key} | {} | __debezium.oldkey: {OLD_KEY}", envelope('c', "null", after)),
        ];
        assert_eq!(Orders::new(identity, DEFAULT, true).apply(&message, &STAMP), Ok((2, want)));
    };
    let moved = r#"{"b":2,"note":"x","a":7}"#;
    let key_only = r#"{"b":2,"note":null,"a":1}"#;
    check(Identity::Default, update(Some((OldKind::Key, ["2", "-", "1"])), ["2", "x", "7"]), key_only, moved);
    check(Identity::Full, update(Some((OldKind::Full, ["2", "x", "1"])), ["2", "~", "7"]), ROW, moved);
}

#[test]
fn rows_under_full_identity_have_all_of_the_old_row() {
    let mut orders = Orders::new(Identity::Full, DEFAULT, true);
    let new = r#"{"b":2,"note":"y","a":1}"#;
    let want = vec![format!("{OLD_KEY} | {}", envelope('u', ROW, new))];
    assert_eq!(orders.apply(&update(Some((OldKind::Full, ["2", "x", "1"])), ["2", "y", "1"]), &STAMP), Ok((1, want)));
    let want = vec![format!("{OLD_KEY} | {}", envelope('u', ROW, ROW))];
    assert_eq!(
        orders.apply(&update(Some((OldKind::Full, ["2", "x", "1"])), ["2", "~", "1"]), &STAMP),
        Ok((1, want)),
        "a value that was not sent again is that of the old row"
    );
    let want = vec![format!("{OLD_KEY} | {}", envelope('d', ROW, "null")), format!("{OLD_KEY} | NULL")];
    assert_eq!(orders.apply(&delete(OldKind::Full, ["2", "x", "1"]), &STAMP), Ok((1, want)));
}

#[test]
fn a_table_without_a_key_has_neither_keys_nor_tombstones() {
    let mut orders = Orders::new(Identity::Full, DEFAULT, false);
    let want = vec![format!("NULL | {}", envelope('c', "null", ROW))];
    assert_eq!(orders.apply(&insert(["2", "x", "1"]), &STAMP), Ok((1, want)));
    let want = vec![format!("NULL | {}", envelope('d', ROW, "null"))];
    assert_eq!(orders.apply(&delete(OldKind::Full, ["2", "x", "1"]), &STAMP), Ok((1, want)));
}

#[test]
fn strict_deletes_have_fillers() {
    let strict = Modes { compat: Compat::Strict, ..DEFAULT };
    let want = vec![
        format!("{OLD_KEY} | {}", envelope('d', r#"{"b":2,"note":"","a":1}"#, "null")),
        format!("{OLD_KEY} | NULL"),
    ];
    let mut orders = Orders::new(Identity::Default, strict, true);
    assert_eq!(orders.apply(&delete(OldKind::Key, ["2", "-", "1"]), &STAMP), Ok((1, want)));
}

#[test]
fn copied_rows_and_truncates() {
    let mut orders = Orders::new(Identity::Default, DEFAULT, true);
    let message = insert(["2", "x", "1"]);
    let Message::Insert { new, .. } = decode(&message).unwrap() else { panic!("not an insert") };
    let place = Place { snapshot: Snapshot::First, last_commit: None, xid: None, ..STAMP.place };
    orders.table.read(new, &Stamp { place, ..STAMP }, &mut orders.records).unwrap();
    let want = envelope('r', "null", ROW)
        .replace(r#""snapshot":"false""#, r#""snapshot":"first""#)
        .replace(r#""[\"24023000\",\"24023128\"]""#, r#""[null,\"24023128\"]""#)
        .replace(r#""txId":748"#, r#""txId":null"#);
    assert_eq!(printed(&orders.records), [format!("{OLD_KEY} | {want}")]);
    orders.records.clear();
    assert_eq!(orders.table.truncate(&STAMP, &mut orders.records), 1);
    assert_eq!(printed(&orders.records), [format!("NULL | {}", envelope('t', "null", "null"))]);
}

#[test]
fn transactions_are_numbered_and_origins_named() {
    let id = TransactionId { xid: 748, lsn: Lsn(24_023_100) };
    let transaction = Some(InTransaction { id, total_order: 3, table_order: 2 });
    let place = Place { origin: Some(("north", Lsn(16))), ..STAMP.place };
    let stamp = Stamp { place, transaction, ..STAMP };
    let mut orders = Orders::new(Identity::Default, DEFAULT, true);
    let message = update(Some((OldKind::Key, ["2", "-", "1"])), ["2", "x", "7"]);
    let (_, records) = orders.apply(&message, &stamp).unwrap();
    let block = |total, table| {
        format!(
            r#""origin":"north","origin_lsn":16}},"transaction":{{"id":"748:24023100","total_order":{total},"data_collection_order":{table}}},"#
        )
    };
    assert!(records[0].contains(&block(3, 2)), "{}", records[0]);
    assert!(records[2].contains(&block(4, 3)), "{}", records[2]);
}

#[test]
fn a_row_that_cannot_be_written_leaves_nothing_behind() {
    let mut orders = Orders::new(Identity::Default, DEFAULT, true);
    let mut check = |message: Vec<u8>, column: &str, reason: &'static str| {
        assert_eq!(orders.apply(&message, &STAMP), Err(Unfit { column: column.into(), reason }));
        assert_eq!((orders.records.bytes(), orders.records.iter().len()), (0, 0));
    };
    check(insert(["2", "x", "one"]), "a", "is not an integer");
    check(update(Some((OldKind::Key, ["2", "-", "1"])), ["two", "x", "7"]), "b", "is not an integer");
    check(update(None, ["~", "x", "1"]), "b", "is part of the key and was not sent");
    let mut short = Vec::new();
    encode_insert(1, cells(["1"]), &mut short);
    check(short, "*", "stands for a row of another number of columns than its table");
    let unfit = Unfit { column: "a".into(), reason: "is infinite" };
    assert_eq!(unfit.to_string(), "column a is infinite");
}

#[test]
fn messages_borders_and_heartbeats() {
    let mut records = Records::default();
    let logical = Logical { transactional: true, lsn: Lsn(24_023_128), prefix: "p\"q", content: &[0, 255] };
    put_message(None, &connector(), &logical, &STAMP, &mut records);
    let id = TransactionId { xid: 748, lsn: Lsn(24_023_100) };
    put_begin(None, id, 1_795_262_400_123_456, &mut records);
    let (orders, fills) = (TableName::new("public", "orders"), TableName::new("public", "fills"));
    put_end(None, id, 1_795_262_400_123_456, 3, [(&orders, 2), (&fills, 1)].into_iter(), &mut records);
    put_heartbeat(None, "shop", 1_795_262_400_654_321, &mut records);
    let source = SOURCE.replace(r#""schema":"public","table":"orders""#, r#""schema":"","table":"""#);
    let want = [
        format!(
            r#"{{"prefix":"p\"q"}} | {{"op":"m","ts_ms":1795262400654,{source},"transaction":null,"message":{{"prefix":"p\"q","content":"AP8="}}}}"#
        ),
        r#"{"id":"748:24023100"} | {"status":"BEGIN","id":"748:24023100","event_count":null,"data_collections":null,"ts_ms":1795262400123}"#.to_owned(),
        r#"{"id":"748:24023100"} | {"status":"END","id":"748:24023100","event_count":3,"data_collections":[{"data_collection":"public.orders","event_count":2},{"data_collection":"public.fills","event_count":1}],"ts_ms":1795262400123}"#.to_owned(),
        r#"{"serverName":"shop"} | {"ts_ms":1795262400654}"#.to_owned(),
    ];
    assert_eq!(printed(&records), want);
}
