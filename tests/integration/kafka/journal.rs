//! A load whose every committed change is known, key by key: triggers write it down in the same transaction.
//!
//! Invariant: a row's lock is held until its transaction ends, so the numbers of one key's entries are in the order of its
//! commits. What the topics hold of a key must be exactly this: nothing missing, nothing twice, nothing out of order.

use std::collections::{BTreeMap, BTreeSet};

use pgtape::sandbox::{PrivatePostgres, Record};
use rand::Rng;
use serde_json::Value;

use crate::common::load::Dice;

/// The captured tables.
pub const TABLES: [&str; 2] = ["shop.orders", "shop.items"];
/// Few keys, so that each has a history.
const KEYS: u32 = 60;
/// Rows of the largest transactions.
const BULK: u32 = 300;

const SCHEMA: &str = "CREATE SCHEMA shop; CREATE SCHEMA proof;
    CREATE TABLE shop.orders (id bigint PRIMARY KEY, n bigint NOT NULL, note text);
    CREATE TABLE shop.items (id bigint PRIMARY KEY, n bigint NOT NULL, note text);
    CREATE TABLE proof.journal (seq bigserial PRIMARY KEY, tab text, op text, id bigint, n bigint);
    CREATE FUNCTION proof.note() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE tab text := TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME;
    BEGIN
        IF TG_OP = 'INSERT' THEN INSERT INTO proof.journal (tab, op, id, n) VALUES (tab, 'c', NEW.id, NEW.n);
        ELSIF TG_OP = 'DELETE' THEN INSERT INTO proof.journal (tab, op, id, n) VALUES (tab, 'd', OLD.id, OLD.n);
        ELSIF OLD.id = NEW.id THEN INSERT INTO proof.journal (tab, op, id, n) VALUES (tab, 'u', NEW.id, NEW.n);
        ELSE INSERT INTO proof.journal (tab, op, id, n) VALUES (tab, 'd', OLD.id, OLD.n), (tab, 'c', NEW.id, NEW.n);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION proof.note();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON shop.items FOR EACH ROW EXECUTE FUNCTION proof.note()";

/// Makes tables, journal and triggers.
pub fn create(server: &PrivatePostgres) {
    server.psql(SCHEMA).unwrap();
}

/// A transaction: inserts, updates, deletes, changed keys, of both tables; now and then a large one.
pub fn next(dice: &mut Dice) -> String {
    if dice.random_range(0..200) == 0 {
        let n: u32 = dice.random();
        return format!(
            "INSERT INTO shop.items SELECT id, {n}, repeat('x', 100) FROM generate_series(1000, {}) AS id
             ON CONFLICT (id) DO UPDATE SET n = excluded.n",
            1000 + BULK
        );
    }
    let statements = (0..dice.random_range(1..6)).map(|_statement| {
        let table = TABLES[dice.random_range(0..TABLES.len())];
        let (id, n): (u32, u32) = (dice.random_range(0..KEYS), dice.random());
        match dice.random_range(0..10) {
            0..6 => format!(
                "INSERT INTO {table} VALUES ({id}, {n}, 'note {n}') ON CONFLICT (id) DO UPDATE SET n = excluded.n"
            ),
            6 | 7 => format!("UPDATE {table} SET n = {n} WHERE id = {id}"),
            8 => format!("DELETE FROM {table} WHERE id = {id}"),
            _ => format!("UPDATE {table} SET id = {}, n = {n} WHERE id = {id}", dice.random_range(0..KEYS)),
        }
    });
    statements.collect::<Vec<_>>().join("; ")
}

/// What happened to a key: `c n`, `u n`, `d`, and `-` for a tombstone.
type Histories = BTreeMap<(String, i64), Vec<String>>;

/// What Postgres says has happened.
fn expected(server: &PrivatePostgres) -> Histories {
    let journal = server.psql("SELECT format('%s %s %s %s', tab, id, op, n) FROM proof.journal ORDER BY seq").unwrap();
    let mut histories = Histories::new();
    for line in journal.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [table, id, op, n] = words[..] else { panic!("{line}") };
        let history = histories.entry((table.to_owned(), id.parse().unwrap())).or_default();
        match op {
            "d" => history.extend(["d".to_owned(), "-".to_owned()]),
            _ => history.push(format!("{op} {n}")),
        }
    }
    histories
}

/// What the records of the table's topic say has happened.
fn found(table: &str, records: &[Record], histories: &mut Histories) {
    let (mut partitions, mut places) = (BTreeMap::new(), BTreeSet::new());
    for record in records {
        let key: Value = serde_json::from_slice(record.key.as_deref().unwrap()).unwrap();
        let id = key["id"].as_i64().unwrap();
        let partition = *partitions.entry(id).or_insert(record.partition);
        assert_eq!(partition, record.partition, "{table} {id} is in two partitions");
        let place = (record.header("pgtape.position").unwrap(), record.header("pgtape.part").unwrap());
        assert!(places.insert(place), "{table} {id}: two records of {place:?}");
        let value = record.json();
        let said = match value["op"].as_str() {
            None => "-".to_owned(),
            Some("d") => "d".to_owned(),
            Some(op) => format!("{op} {}", value["after"]["n"]),
        };
        histories.entry((table.to_owned(), id)).or_default().push(said);
    }
}

/// Holds the records of both tables' topics, in the order of [`TABLES`], against the journal and the tables.
pub fn check(server: &PrivatePostgres, records: &[Vec<Record>]) {
    let mut histories = Histories::new();
    TABLES.iter().zip(records).for_each(|(table, records)| found(table, records, &mut histories));
    let wanted = expected(server);
    println!("{} records of {} keys", records.iter().map(Vec::len).sum::<usize>(), wanted.len());
    for (key, want) in &wanted {
        let got = histories.get(key).map(Vec::as_slice).unwrap_or_default();
        assert!(got == want, "{key:?}: {}", difference(got, want));
    }
    let unknown: Vec<_> = histories.keys().filter(|key| !wanted.contains_key(key)).collect();
    assert!(unknown.is_empty(), "records of keys that never were: {unknown:?}");
    for (table, records) in TABLES.iter().zip(records) {
        assert_eq!(last_state(records), rows(server, table), "{table}");
    }
}

/// Where two histories part.
fn difference(got: &[String], want: &[String]) -> String {
    let at = got.iter().zip(want).take_while(|(got, want)| got == want).count();
    let from = at.saturating_sub(2);
    let part = |all: &[String]| all[from..all.len().min(at + 3)].join(", ");
    let counts = (got.len(), want.len());
    format!("{counts:?} events, from number {from}: [{}] instead of [{}]", part(got), part(want))
}

/// The rows that a consumer has at the end.
fn last_state(records: &[Record]) -> BTreeMap<i64, Value> {
    let mut state = BTreeMap::new();
    for value in records.iter().map(Record::json).filter(|value| !value.is_null()) {
        match &value["after"] {
            Value::Null => state.remove(&value["before"]["id"].as_i64().unwrap()),
            after => state.insert(after["id"].as_i64().unwrap(), after.clone()),
        };
    }
    state
}

fn rows(server: &PrivatePostgres, table: &str) -> BTreeMap<i64, Value> {
    let rows = server.psql(&format!("SELECT to_jsonb(t) FROM {table} AS t")).unwrap();
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["id"].as_i64().unwrap(), row)).collect()
}
