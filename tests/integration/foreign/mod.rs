//! A database that is none of the five goes through the whole service, with kills and schema changes.

mod load;
pub mod types;

use std::time::Duration;

use pgtape::sandbox::{PrivatePostgres, ServiceProcess};
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::common::load::{Dice, Load};
use crate::common::{assert_verified, rows_of, seed, server, service};

const SCHEMA: &str = include_str!("schema.sql");
const TABLES: &str = "shop.*,Wein & Käse.*";
/// A recovery of so little takes far less.
const READY: Duration = Duration::from_secs(60);

/// What happens to the tables while the load runs and the service is killed in between.
const CHANGES: &[&str] = &[
    "ALTER TABLE shop.composite ADD COLUMN extra text",
    "ALTER TABLE shop.composite ADD COLUMN \"Extra default\" numeric DEFAULT 1.50; UPDATE shop.composite SET extra = 'x'",
    "ALTER TABLE shop.composite RENAME COLUMN extra TO \"Extra Renamed\"",
    "ALTER TABLE shop.no_key ADD COLUMN added int DEFAULT 5",
    "ALTER TABLE shop.composite DROP COLUMN \"Extra Renamed\"",
    "ALTER TABLE shop.keyed_full ALTER COLUMN small TYPE bigint",
    "ALTER TABLE shop.by_index ADD COLUMN made uuid DEFAULT gen_random_uuid()",
    "ALTER TYPE shop.mood ADD VALUE 'new'",
    "TRUNCATE shop.generated, shop.toasted",
    "VACUUM FULL shop.every_type",
    "TRUNCATE shop.events",
];

/// Started with some rows in every table, so that the first copy has work.
fn foreign_server(dice: &mut Dice) -> PrivatePostgres {
    let server = server(&[]);
    server.psql(SCHEMA).unwrap();
    server.psql(&types::create_table()).unwrap();
    Load::run(&server.url(), dice.random(), 500, load::transaction);
    server
}

#[test]
fn every_type_is_carried_as_its_text() {
    let server = foreign_server(&mut Dice::seed_from_u64(1));
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, TABLES);
    service.wait_ready(READY).unwrap();
    // Each value once through the stream: the copy had its turn.
    let most = types::TYPES.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    for round in 0..most {
        let value = |(index, (name, values)): (usize, &(&str, &[&str]))| {
            let text = values[round % values.len()].replace('\\', "\\\\").replace('\'', "\\'");
            format!("{} = E'{text}'::{name}", types::column(index))
        };
        let values: Vec<String> = types::TYPES.iter().enumerate().map(value).collect();
        let id = 2000 + round;
        server.psql(&format!("INSERT INTO shop.every_type (id) VALUES ({id})")).unwrap();
        server.psql(&format!("UPDATE shop.every_type SET {} WHERE id = {id}", values.join(", "))).unwrap();
    }
    assert_same(&server, &service, "shop.every_type", "shop.every_type");
    assert_verified(&service);
}

#[test]
fn a_foreign_database_goes_through_with_kills_and_schema_changes() {
    let seed = seed();
    let mut dice = Dice::seed_from_u64(seed);
    let server = foreign_server(&mut dice);
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, TABLES);
    service.wait_ready(READY).unwrap();
    assert_verified(&service);

    let load = Load::start(&server.url(), seed, 2, load::transaction);
    for changes in CHANGES.chunks(2) {
        for change in changes {
            apply(&server, change);
        }
        std::thread::sleep(Duration::from_millis(dice.random_range(50..500))); // When the blow falls is chance.
        service.kill9().unwrap();
        service.start_again().unwrap();
        service.wait_ready(READY).unwrap();
    }
    assert!(load.finish() > 0);
    server.psql(&load::touch_all()).unwrap();

    let report = assert_verified(&service);
    assert_eq!(report["tables"].as_array().map(Vec::len), Some(10), "{report}");
    for (sql, name) in [
        ("shop.every_type", "shop.every_type"),
        ("shop.composite", "shop.composite"),
        ("shop.\"a,b\"", "shop.a,b"),
        ("shop.no_key", "shop.no_key"),
        ("shop.events", "shop.events"),
        ("\"Wein & Käse\".\"naïve.table \"\"quoted\"\" 表\"", "Wein & Käse.naïve.table \"quoted\" 表"),
    ] {
        assert_same(&server, &service, sql, name);
    }
}

/// Under REPLICA IDENTITY FULL the old row of an update or delete shows NULL where the default was never written.
#[test]
fn a_column_added_with_a_default_does_not_hide_the_rows_of_a_table_without_key() {
    let server = server(&[]);
    server
        .psql("CREATE SCHEMA shop; CREATE TABLE shop.t (a int, b text); ALTER TABLE shop.t REPLICA IDENTITY FULL")
        .unwrap();
    server.psql("INSERT INTO shop.t SELECT n % 3, 'x' FROM generate_series(1, 9) AS n").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, "shop.*");
    service.wait_ready(READY).unwrap();
    server.psql("ALTER TABLE shop.t ADD COLUMN added int DEFAULT 5").unwrap();
    server.psql("INSERT INTO shop.t VALUES (7, 'y', 7); UPDATE shop.t SET b = 'z' WHERE a = 1").unwrap();
    server.psql("DELETE FROM shop.t WHERE a = 2").unwrap();
    assert_verified(&service);
}

#[test]
fn a_column_list_and_a_row_filter_of_the_owner_are_kept_and_verified() {
    let server = server(&[]);
    if server.psql("SELECT current_setting('server_version_num')::int < 150000").unwrap() == "t" {
        return; // They came with PostgreSQL 15.
    }
    server
        .psql(
            "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, n int, secret text); CREATE TABLE shop.u (id int PRIMARY KEY);
             INSERT INTO shop.t SELECT n, n, 's' FROM generate_series(1, 9) AS n;
             CREATE PUBLICATION pgtape FOR TABLE ONLY shop.t (id, n) WHERE (id < 5) WITH (publish_via_partition_root = true)",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, "shop.*");
    service.wait_ready(READY).unwrap();
    let end = server
        .psql(
            "INSERT INTO shop.t VALUES (0, 0, 's'), (20, 20, 's'); UPDATE shop.t SET id = 30 WHERE id = 1;
             UPDATE shop.t SET id = 1, n = 7 WHERE id = 9; DELETE FROM shop.t WHERE id IN (2, 8); INSERT INTO shop.u VALUES (1);
             SELECT pg_current_wal_insert_lsn()",
        )
        .unwrap();
    let mut ids: Vec<String> = rows_of(&service, "shop.t", &end).iter().map(|row| row["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"0\"", "\"1\"", "\"3\"", "\"4\""]);
    assert!(rows_of(&service, "shop.t", &end)[0].get("secret").is_none());
    let report = assert_verified(&service);
    assert_eq!(report["tables"][0]["rows_postgres"], 4, "{report}");
}

/// The segment's head still says the old names when the service starts from a checkpoint after the renames.
#[test]
fn renamed_and_swapped_tables_are_served_after_restarts_from_a_checkpoint() {
    let server = server(&[]);
    server
        .psql(
            "CREATE SCHEMA shop; CREATE TABLE shop.a (id int PRIMARY KEY, n int); CREATE TABLE shop.b (id int PRIMARY KEY, n int);
             CREATE TABLE shop.c (id int PRIMARY KEY); INSERT INTO shop.a VALUES (1, 1); INSERT INTO shop.b VALUES (2, 2);
             INSERT INTO shop.c VALUES (3)",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, "shop.*");
    service.wait_ready(READY).unwrap();
    server
        .psql(
            "BEGIN; ALTER TABLE shop.a RENAME TO x; ALTER TABLE shop.b RENAME TO a; ALTER TABLE shop.x RENAME TO b; COMMIT;
             ALTER TABLE shop.c RENAME TO d; INSERT INTO shop.d VALUES (4); INSERT INTO shop.a VALUES (5, 5)",
        )
        .unwrap();
    wait_for_status(&service, "the new name", |status| {
        status["tables"].as_array().unwrap().iter().any(|table| table["table"] == "shop.d" && table["rows"] == 2)
    });
    assert_verified(&service);
    for _ in 0..2 {
        service.terminate(READY).unwrap(); // Writes a checkpoint.
        service.start_again().unwrap();
        service.wait_ready(READY).unwrap();
        assert_verified(&service);
        assert_eq!(rows_of(&service, "shop.d", &server.psql("SELECT pg_current_wal_insert_lsn()").unwrap()).len(), 2);
        assert_eq!(service.get("/v1/tables/shop.c/rows").unwrap().status, 404);
    }
}

/// Waits until the status is as asked.
fn wait_for_status(service: &ServiceProcess, what: &str, asked: impl Fn(&Value) -> bool) {
    let started = std::time::Instant::now();
    loop {
        let status = service.get("/v1/status").unwrap().json();
        if asked(&status) {
            return;
        }
        assert!(started.elapsed() < READY, "{what} did not come: {} {}", status["tables"], status["alarms"]);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn tables_that_come_and_go_while_it_runs_are_shown_as_they_are() {
    let server = server(&[]);
    server
        .psql(
            "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY); CREATE TABLE shop.gone (id int PRIMARY KEY)",
        )
        .unwrap();
    server.psql("INSERT INTO shop.t VALUES (1); INSERT INTO shop.gone VALUES (1)").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut service = service(&server.url(), &directory, "shop.*");
    service.wait_ready(READY).unwrap();
    let alarms = |status: &Value| {
        let all = status["alarms"].as_array().unwrap().iter().filter(|alarm| alarm["alarm"] == "tables");
        all.map(|alarm| alarm["message"].to_string()).collect::<Vec<_>>().join("\n")
    };
    let lists = |status: &Value, name| status["tables"].as_array().unwrap().iter().any(|table| table["table"] == name);

    server.psql("DROP TABLE shop.gone; CREATE TABLE shop.later (id int); INSERT INTO shop.later VALUES (7)").unwrap();
    wait_for_status(&service, "word of a table left out", |status| alarms(status).contains("shop.later"));
    wait_for_status(&service, "the end of a table", |status| !lists(status, "shop.gone"));
    server.psql("ALTER PUBLICATION pgtape ADD TABLE ONLY shop.later").unwrap();
    wait_for_status(&service, "a table added", |status| lists(status, "shop.later"));
    wait_for_status(&service, "word of its identity", |status| alarms(status).contains("REPLICA IDENTITY FULL"));
    server.psql("ALTER TABLE shop.later REPLICA IDENTITY FULL; UPDATE shop.later SET id = 8").unwrap();
    wait_for_status(&service, "the end of the alarms", |status| alarms(status).is_empty());
    for _ in 0..2 {
        let report = assert_verified(&service);
        let names: Vec<&Value> = report["tables"].as_array().unwrap().iter().map(|table| &table["table"]).collect();
        assert_eq!(names, ["shop.later", "shop.t"]);
        assert_eq!(service.get("/v1/tables/shop.gone/rows").unwrap().status, 404);
        service.terminate(READY).unwrap();
        service.start_again().unwrap();
        service.wait_ready(READY).unwrap();
    }
}

/// Changes the schema; again when the load made a deadlock of it.
fn apply(server: &PrivatePostgres, change: &str) {
    let alone = change.starts_with("VACUUM");
    let sql = if alone { change.to_owned() } else { format!("BEGIN; {change}; COMMIT") };
    while let Err(error) = server.psql(&sql) {
        assert!(error.to_string().contains("deadlock detected"), "{change}: {error}");
    }
}

/// Holds the rows over HTTP against the table, value by value, without `verify`'s help.
fn assert_same(server: &PrivatePostgres, service: &ServiceProcess, sql: &str, name: &str) {
    let columns = server.psql(&format!(
        "SELECT string_agg(format('%L, %I::text', attname, attname), ', ') FROM pg_attribute
          WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped",
        format_args!("'{}'", sql.replace('\'', "''"))
    ));
    let settings =
        "SET timezone = 'UTC'; SET extra_float_digits = 3; SET intervalstyle = 'postgres'; SET lc_monetary = 'C';";
    // More than 100 arguments are too many for one call.
    let columns = columns.unwrap();
    let parts: Vec<String> = split_pairs(&columns).map(|part| format!("jsonb_build_object({part})")).collect();
    let rows = server.psql(&format!("{settings} SELECT ({})::text FROM {sql}", parts.join(" || "))).unwrap();
    let mut wanted: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found = rows_of(service, name, &server.psql("SELECT pg_current_wal_insert_lsn()").unwrap());
    let key = |row: &Value| row.to_string();
    wanted.iter_mut().chain(&mut found).for_each(Value::sort_all_objects);
    wanted.sort_by_key(key);
    found.sort_by_key(key);
    assert_eq!(wanted.len(), found.len(), "rows of {name}");
    for (wanted, found) in wanted.iter().zip(&found) {
        assert_eq!(wanted, found, "a row of {name}");
    }
}

/// At most 40 pairs of `'name', value` a part.
fn split_pairs(columns: &str) -> impl Iterator<Item = String> + '_ {
    let pairs: Vec<&str> = columns.split_inclusive("::text, ").collect();
    let parts: Vec<String> = pairs.chunks(40).map(|part| part.concat().trim_end_matches(", ").to_owned()).collect();
    parts.into_iter()
}
