//! Random transactions on the foreign tables. Keys come from small ranges, so that rows are met again and again.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::types::{TYPES, column};
use crate::common::load::Dice;

/// Keys that quoting, escaping and comparing get wrong.
const KEYS: &[&str] = &["", " ", "a", "A", "ä", "a'b", "\"", "\\", "\\N", "NULL", "tab\t", "line\n", "a,b", "表", "🦀"];

/// A text longer than this is stored out of line.
const TOAST_BYTES: usize = 9_000;

/// One transaction of one to five statements.
pub fn transaction(dice: &mut Dice) -> String {
    let statements: Vec<String> = (0..dice.random_range(1..=5)).map(|_| statement(dice)).collect();
    let sql = statements.join(";\n");
    match dice.random_range(0..20) {
        0 => format!("BEGIN; {sql}; ROLLBACK"),
        1 => format!("BEGIN; SAVEPOINT s; {sql}; ROLLBACK TO s; {}; COMMIT", statement(dice)),
        2 => format!("BEGIN; SAVEPOINT s; {sql}; RELEASE s; {}; COMMIT", statement(dice)),
        _ => sql,
    }
}

/// One row more in each table: whatever changed before is now in the stream.
pub fn touch_all() -> String {
    [
        "INSERT INTO shop.every_type (id) VALUES (1000)",
        "INSERT INTO \"Wein & Käse\".\"naïve.table \"\"quoted\"\" 表\" VALUES ('touched')",
        "INSERT INTO shop.\"a,b\" VALUES (1000)",
        "INSERT INTO shop.composite VALUES ('touched', 1)",
        "INSERT INTO shop.by_index (code, day) VALUES ('touched', '2026-01-01')",
        "INSERT INTO shop.no_key (a) VALUES (1000)",
        "INSERT INTO shop.keyed_full VALUES (1000)",
        "INSERT INTO shop.toasted (id) VALUES (1000)",
        "INSERT INTO shop.generated VALUES (1000, 1)",
        "INSERT INTO shop.events VALUES (1000, '2025-06-01', 'order')",
    ]
    .join(";\n")
}

fn statement(dice: &mut Dice) -> String {
    let (id, other) = (dice.random_range(0..200), dice.random_range(0..200));
    let key = literal(KEYS.choose(dice).copied().unwrap_or_default());
    let text = text(dice);
    let wine = "\"Wein & Käse\".\"naïve.table \"\"quoted\"\" 表\"";
    match dice.random_range(0..26) {
        0..4 => every_type(dice, id),
        4 => format!("DELETE FROM shop.every_type WHERE id = {id}"),
        5 => format!("INSERT INTO {wine} VALUES ({key}, {text}, {id}) ON CONFLICT (\"the Key\") DO UPDATE SET \"SELECT\" = {id}"),
        6 => format!("UPDATE {wine} SET \" leading\" = {text} WHERE \"the Key\" = {key}"),
        7 => format!("DELETE FROM {wine} WHERE \"the Key\" = {key}"),
        8 => format!("INSERT INTO shop.\"a,b\" VALUES ({id}, {text}) ON CONFLICT (id) DO UPDATE SET \"x'y\" = {key}"),
        9 => format!("INSERT INTO shop.composite (region, \"Number\", note, amount) VALUES ({key}, {id}, {text}, {id}.50)
                      ON CONFLICT (region, \"Number\") DO UPDATE SET amount = composite.amount + 0.01"),
        10 => format!("UPDATE shop.composite SET \"Number\" = \"Number\" + 1000 WHERE region = {key} AND \"Number\" = {id}"),
        11 => format!("DELETE FROM shop.composite WHERE \"Number\" BETWEEN {id} AND {id} + 3"),
        12 => format!("INSERT INTO shop.by_index (payload, code, day) VALUES ('[{id}]', {key}, date '2026-01-01' + {other})
                       ON CONFLICT (day, code) DO UPDATE SET payload = '{{\"again\": true}}'"),
        13 => format!("UPDATE shop.by_index SET code = code || 'x' WHERE day = date '2026-01-01' + {id} AND length(code) < 6"),
        14 => format!("DELETE FROM shop.by_index WHERE day = date '2026-01-01' + {id}"),
        15 => format!("INSERT INTO shop.no_key (a, b, \"C c\") SELECT {id} % 10, {key}, 'NaN' FROM generate_series(1, 3)"),
        16 => format!("UPDATE shop.no_key SET b = {text} WHERE ctid = (SELECT min(ctid) FROM shop.no_key WHERE a = {id} % 10)"),
        17 => format!("DELETE FROM shop.no_key WHERE ctid = ANY (ARRAY(SELECT ctid FROM shop.no_key WHERE a = {id} % 10 LIMIT 2))"),
        18 => format!("INSERT INTO shop.keyed_full (id, big, small) VALUES ({id}, {text}, 1)
                       ON CONFLICT (id) DO UPDATE SET small = keyed_full.small + 1"),
        19 => format!("INSERT INTO shop.toasted (id, big, small) VALUES ({id}, repeat('x', {TOAST_BYTES} + {other}), 1)
                       ON CONFLICT (id) DO UPDATE SET small = toasted.small + 1"),
        20 => format!("UPDATE shop.toasted SET other = {text} WHERE id BETWEEN {id} AND {id} + 3"),
        21 => format!("UPDATE shop.toasted SET id = id + 1000 WHERE id = {id}; DELETE FROM shop.toasted WHERE id = {other}"),
        22 => format!("INSERT INTO shop.generated VALUES ({id}, {other}) ON CONFLICT (id) DO UPDATE SET a = {other}"),
        23 => format!("INSERT INTO shop.events VALUES ({id}, date '2025-11-01' + {other}, (ARRAY['order','fill'])[1 + {id} % 2], {text})
                       ON CONFLICT DO NOTHING"),
        // From one partition to another.
        24 => format!("UPDATE shop.events SET day = day + 60 WHERE id = {id}"),
        _ => format!("DELETE FROM shop.events WHERE id = {id}"),
    }
}

/// A row with a value in most columns, or one column changed.
fn every_type(dice: &mut Dice, id: i32) -> String {
    let value = |dice: &mut Dice, index: usize| {
        let (name, values) = TYPES[index];
        match values.choose(dice) {
            Some(value) if dice.random_range(0..6) > 0 => format!("{}::{name}", literal(value)),
            _ => "NULL".to_owned(),
        }
    };
    if dice.random() {
        let index = dice.random_range(0..TYPES.len());
        return format!(
            "UPDATE shop.every_type SET {} = {} WHERE id BETWEEN {id} AND {id} + 5",
            column(index),
            value(dice, index)
        );
    }
    let names: Vec<String> = (0..TYPES.len()).map(column).collect();
    let values: Vec<String> = (0..TYPES.len()).map(|index| value(dice, index)).collect();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("INSERT INTO shop.every_type (id, {names}) VALUES ({id}, {values}) ON CONFLICT (id) DO NOTHING")
}

/// NULL, an awkward text, or a long one.
fn text(dice: &mut Dice) -> String {
    match dice.random_range(0..8) {
        0 => "NULL".to_owned(),
        1 => format!("repeat(md5('{}'), 400)", dice.random_range(0..1000)),
        _ => literal(KEYS.choose(dice).copied().unwrap_or_default()),
    }
}

fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
