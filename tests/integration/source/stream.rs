//! From slot to tape to confirmation.

use std::time::{Duration, Instant};

use pgtape::model::Lsn;
use pgtape::sandbox::Proxy;
use pgtape::tape::Kind;

use super::HERE;
use super::rig::{Rig, lsn, sorted};
use crate::common::{database, server};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_reaches_the_tape_and_only_the_durable_is_confirmed() {
    let db = database();
    db.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text); INSERT INTO s.t VALUES (1, 'before')")
        .unwrap();
    let rig = Rig::new(&db.url(), db.name(), "s.*");
    let mut running = rig.stream().await;
    let work = "INSERT INTO s.t SELECT g, 'é' || g FROM generate_series(2, 500) g;
        BEGIN; UPDATE s.t SET v = E'tab\\there' WHERE id < 10; DELETE FROM s.t WHERE id = 3; COMMIT;
        UPDATE s.t SET id = 1000 WHERE id = 4; UPDATE s.t SET v = NULL WHERE id = 5;
        INSERT INTO s.t VALUES (2000, ''), (2001, E'back\\\\slash\\nline');
        SELECT pg_logical_emit_message(false, 'alone', 'x'); SELECT pg_logical_emit_message(true, 'within', 'x');";
    let here = lsn(&db.psql(&format!("{work}{HERE}")).unwrap());
    running.reach(here).await;
    let replay = rig.replay(&running.watermark);
    let want = sorted(&db.psql("SELECT * FROM s.t").unwrap());
    assert!(sorted(&replay.rows("s.t").join("\n")) == want, "the rows differ");
    assert_eq!(replay.messages, ["alone", "within"]);
    let kinds: Vec<Kind> = replay.units.iter().map(|unit| unit.kind).collect();
    assert_eq!((kinds[0], kinds.iter().filter(|k| **k == Kind::Message).count()), (Kind::Copy, 1));
    assert!(replay.units.windows(2).all(|pair| pair[0].end_lsn < pair[1].end_lsn), "positions do not repeat");
    running.wait_for("the confirmation", |s| s.slot.as_ref().is_some_and(|slot| slot.confirmed >= here)).await;
    let confirmed = running.status.get().slot.unwrap().confirmed;
    assert!(confirmed <= running.watermark.lsn(), "the slot is never ahead of the durable tape");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_where_the_tape_ends() {
    let db = database();
    db.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)").unwrap();
    let rig = Rig::new(&db.url(), db.name(), "s.*");
    for round in 0..3 {
        let insert = format!("INSERT INTO s.t SELECT g FROM generate_series({round}000, {round}999) g;");
        if round > 0 {
            db.psql(&insert.replace("999) g", "400) g")).unwrap();
        }
        let mut running = rig.stream().await;
        let rest = insert.replace("000,", "500,");
        let here = lsn(&db.psql(&format!("{rest}{HERE}")).unwrap());
        running.reach(here).await;
        let want = sorted(&db.psql("SELECT id FROM s.t").unwrap());
        assert_eq!(rig.replay(&running.watermark).rows("s.t"), want);
        running.stop().await;
        let confirmed = lsn(&db
            .psql(&format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'", db.name()))
            .unwrap());
        assert!(confirmed >= here, "a good end confirms what is durable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_a_transaction_neither_loses_nor_repeats() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text)").unwrap();
    let proxy = Proxy::start(pg.port()).unwrap();
    let rig = Rig::new(&proxy.url(&pg.url()), "cut", "s.*");
    let mut running = rig.stream().await;
    for (round, cut_after) in [300_000u64, 900_000, 1_500_000].into_iter().enumerate() {
        proxy.cut_after(cut_after);
        let rows =
            format!("INSERT INTO s.t SELECT g, repeat('x', 100) FROM generate_series({round}00000, {round}19999) g;");
        let here = lsn(&pg.psql(&format!("{rows}{HERE}")).unwrap());
        running.reach(here).await;
        assert!(proxy.was_cut(), "cut in mid-transaction");
    }
    assert!(running.status.get().reconnects >= 3);
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t").len(), 60_000);
    assert_eq!(replay.units.iter().filter(|unit| unit.kind == Kind::Stream && unit.messages > 20_000).count(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_keeps_the_slot_moving() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE other (id int)").unwrap();
    let rig = Rig::new(&pg.url(), "idle", "s.*");
    let running = rig.stream().await;
    let here = lsn(&pg.psql(&format!("INSERT INTO other SELECT generate_series(1, 10000); {HERE}")).unwrap());
    running.wait_for("the confirmation", |s| s.slot.as_ref().is_some_and(|slot| slot.confirmed >= here)).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.units.len(), 1, "foreign transactions leave nothing but progress");
    pg.stop_fast().unwrap(); // Waits until every walsender has confirmed everything.
    pg.start_again().unwrap();
    let mut running = running;
    let here = lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (1); {HERE}")).unwrap());
    running.reach(here).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_and_comes_back_is_followed() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)").unwrap();
    let rig = Rig::new(&pg.url(), "crash", "s.*");
    let mut running = rig.stream().await;
    for round in 0..2 {
        let here =
            lsn(&pg.psql(&format!("INSERT INTO s.t SELECT generate_series({round}000, {round}999); {HERE}")).unwrap());
        running.reach(here).await;
        pg.stop_immediate().unwrap();
        pg.start_again().unwrap();
    }
    let here = lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (5000); {HERE}")).unwrap());
    running.reach(here).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t").len(), 2001);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_given_up_and_the_drain_does_not_wait_for_it() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)").unwrap();
    let proxy = Proxy::start(pg.port()).unwrap();
    let mut rig = Rig::new(&proxy.url(&pg.url()), "frozen", "s.*");
    rig.settings.frozen_after = Duration::from_millis(500);
    let mut running = rig.stream().await;
    proxy.stall();
    running.wait_for("giving up", |s| s.reconnects > 0).await;
    proxy.cut();
    proxy.resume();
    let here = lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (1); {HERE}")).unwrap());
    running.reach(here).await;
    proxy.stall();
    let asked = Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(5), "a drain takes {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_odd_settings_changes_no_value() {
    let pg = server(&[]);
    pg.psql(
        "CREATE ROLE odd SUPERUSER LOGIN PASSWORD 'p\"w d'; ALTER ROLE odd SET datestyle = 'German, DMY';
         ALTER ROLE odd SET extra_float_digits = 0; ALTER ROLE odd SET timezone = 'Asia/Kathmandu';
         ALTER ROLE odd SET bytea_output = 'escape'; ALTER ROLE odd SET intervalstyle = 'sql_standard';
         ALTER ROLE odd SET statement_timeout = '50ms'; ALTER ROLE odd SET client_encoding = 'LATIN1';
         ALTER ROLE odd SET default_transaction_read_only = on; ALTER ROLE odd SET search_path = s;
         ALTER ROLE odd SET default_transaction_isolation = 'serializable';
         CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, f float8, r real, at timestamptz, d date, i interval, b bytea, t text,
             c regclass);
         INSERT INTO s.t VALUES (1, 0.1::float8 + 0.2::float8, 1.1, '2026-03-01 12:00+00', '2026-03-01', '1 day 02:03', '\\x00ff', 'ü€',
             's.t')",
    )
    .unwrap();
    let url = pg.url().replacen("postgres:", "odd:", 2).replacen("odd:", "postgres:", 1);
    let (head, tail) = url.split_once('@').unwrap();
    let url = format!("{}:p%22w%20d@{tail}", &head[..head.rfind(':').unwrap()]);
    let rig = Rig::new(&url, "odd", "s.*");
    let mut running = rig.stream().await;
    let here = lsn(&pg.psql(&format!("INSERT INTO s.t SELECT 2, f, r, at, d, i, b, t, c FROM s.t; {HERE}")).unwrap());
    running.reach(here).await;
    let rows = rig.replay(&running.watermark).rows("s.t");
    let exact = "0.30000000000000004|1.1|2026-03-01 12:00:00+00|2026-03-01|1 day 02:03:00|\\x00ff|ü€|s.t";
    assert_eq!(rows, [format!("1|{exact}"), format!("2|{exact}")]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_large_transaction_passes_whole() {
    let pg = server(&[("logical_decoding_work_mem", "64kB")]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text)").unwrap();
    let rig = Rig::new(&pg.url(), "large", "s.*");
    let mut running = rig.stream().await;
    let rows = "INSERT INTO s.t SELECT g, repeat('y', 50) FROM generate_series(1, 100000) g;";
    let here = lsn(&pg.psql(&format!("{rows} INSERT INTO s.t VALUES (0, repeat('z', 3000000)); {HERE}")).unwrap());
    running.reach(here).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t").len(), 100_001);
    assert_eq!(replay.units.last().unwrap().bytes / 3_000_000, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_read_by_their_root_and_leaves_may_differ_in_column_order() {
    let db = database();
    db.psql(
        "CREATE SCHEMA s; CREATE TABLE s.log (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE s.log_1 PARTITION OF s.log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE s.log_2 (v text, gone int, at date NOT NULL, id int NOT NULL, PRIMARY KEY (id, at));
         ALTER TABLE s.log_2 DROP COLUMN gone;
         ALTER TABLE s.log ATTACH PARTITION s.log_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         INSERT INTO s.log VALUES (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')",
    )
    .unwrap();
    let rig = Rig::new(&db.url(), db.name(), "s.*");
    let mut running = rig.stream().await;
    let work = "INSERT INTO s.log VALUES (3, '2026-01-06', 'c'), (4, '2026-02-06', 'd');
        UPDATE s.log SET at = '2026-02-07' WHERE id = 3; UPDATE s.log SET v = 'dd' WHERE id = 4; DELETE FROM s.log WHERE id = 1;";
    let here = lsn(&db.psql(&format!("{work}{HERE}")).unwrap());
    running.reach(here).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.log"), ["2|2026-02-05|b", "3|2026-02-07|c", "4|2026-02-06|dd"]);
    assert_eq!(replay.tables(), ["s.log"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_reaches_the_tape_of_an_idle_database() {
    let db = database();
    db.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)").unwrap();
    let rig = Rig::new(&db.url(), db.name(), "s.*");
    let mut running = rig.stream().await;
    let address = rig.settings.address.clone();
    let session = pgtape::pg::connect(&address, pgtape::pg::Purpose::Control).await.unwrap();
    let mark = pgtape::source::emit_message(&session, "pgtape", "verify").await.unwrap();
    running.reach(mark).await;
    assert_eq!(rig.replay(&running.watermark).messages, ["pgtape"]);
    assert!(mark > Lsn::ZERO);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tape_agrees_with_pg_recvlogical_on_every_message() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text)").unwrap();
    let rig = Rig::new(&pg.url(), "both", "s.*");
    let mut running = rig.stream().await;
    pg.psql("SELECT pg_create_logical_replication_slot('witness', 'pgoutput')").unwrap();
    let work = "INSERT INTO s.t SELECT g, g FROM generate_series(1, 200) g; UPDATE s.t SET v = 'x' WHERE id < 50;
        DELETE FROM s.t WHERE id < 20; TRUNCATE s.t; INSERT INTO s.t VALUES (1, 'y');";
    let here = lsn(&pg.psql(&format!("{work}{HERE}")).unwrap());
    running.reach(here).await;
    let witness = pg
        .psql(
            "SELECT substr(encode(data, 'hex'), 1, 2) FROM pg_logical_slot_peek_binary_changes('witness', NULL, NULL,
             'proto_version', '1', 'publication_names', 'both') WHERE substr(encode(data, 'hex'), 1, 2) IN ('49', '55', '44', '54')",
        )
        .unwrap();
    let changes = witness.lines().count();
    assert_eq!(rig.replay(&running.watermark).changes, changes);
    running.stop().await;
}
