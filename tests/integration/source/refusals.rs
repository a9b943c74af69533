//! Contract 4 and 9 on real servers: each refusal with its exit kind and what to do.

use pgtape::refusal::{Kind, Refusal};
use pgtape::sandbox::PrivatePostgres;

use super::HERE;
use super::rig::{Rig, lsn};
use crate::common::{database, server};

async fn refused(rig: &Rig) -> Refusal {
    match rig.start().await {
        Err(refusal) => refusal,
        Ok(running) => running.ended().await.expect_err("it must not go on").into_refusal(),
    }
}

async fn check(rig: &Rig, kind: Kind, what: &str) {
    let refusal = refused(rig).await;
    assert!(refusal.kind == kind && refusal.to_string().contains(what), "{kind:?} '{what}', but {refusal:?}");
    assert!(!refusal.hint.is_empty() && !refusal.to_string().contains('\n'), "{refusal:?}");
}

/// A tape that has followed table `s.t` of the server for a while.
async fn followed(pg: &PrivatePostgres, slot: &str) -> Rig {
    pg.psql("CREATE SCHEMA IF NOT EXISTS s; CREATE TABLE IF NOT EXISTS s.t (id serial PRIMARY KEY, v int)").unwrap();
    let rig = Rig::new(&pg.url(), slot, "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t (v) VALUES (1); {HERE}")).unwrap())).await;
    running.stop().await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_ahead_missing_or_anothers_is_refused() {
    let pg = server(&[]);
    let rig = followed(&pg, "mine").await;
    pg.psql("INSERT INTO s.t (v) VALUES (2); SELECT pg_replication_slot_advance('mine', pg_current_wal_lsn())")
        .unwrap();
    let refusal = refused(&rig).await;
    assert!(matches!(refusal.kind, Kind::Slot | Kind::Tape), "{refusal:?}");
    pg.psql("SELECT pg_drop_replication_slot('mine')").unwrap();
    check(&rig, Kind::Slot, "slot mine is gone").await;
    pg.psql("SELECT pg_create_physical_replication_slot('mine')").unwrap();
    check(&rig, Kind::Slot, "physical").await;
    pg.psql("SELECT pg_drop_replication_slot('mine'); CREATE DATABASE other").unwrap();
    pg.psql_in("other", "SELECT pg_create_logical_replication_slot('mine', 'pgoutput')").unwrap();
    check(&rig, Kind::Slot, "belongs to database other").await;
    let empty = Rig::new(&pg.url(), "strange", "s.*");
    pg.psql("SELECT pg_create_logical_replication_slot('strange', 'pgoutput')").unwrap();
    check(&empty, Kind::Slot, "the tape is empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidated_slot_is_refused() {
    let pg = server(&[
        ("max_slot_wal_keep_size", "1MB"),
        ("wal_keep_size", "0"),
        ("max_wal_size", "32MB"),
        ("min_wal_size", "32MB"),
    ]);
    let rig = followed(&pg, "lost").await;
    for _ in 0..20 {
        pg.psql("CREATE TABLE junk AS SELECT repeat('x', 1000) FROM generate_series(1, 30000); DROP TABLE junk; SELECT pg_switch_wal(); CHECKPOINT").unwrap();
        if pg.psql("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'lost'").unwrap().trim() == "lost" {
            break;
        }
    }
    check(&rig, Kind::Slot, "invalidated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_or_database_is_refused() {
    let (pg, other) = (server(&[]), server(&[]));
    let mut rig = followed(&pg, "twin").await;
    other.psql("CREATE SCHEMA s; CREATE TABLE s.t (id serial PRIMARY KEY, v int)").unwrap();
    rig.settings.address = other.url().parse().unwrap();
    check(&rig, Kind::Tape, "system").await;
    pg.psql("CREATE DATABASE second").unwrap();
    pg.psql_in("second", "CREATE SCHEMA s; CREATE TABLE s.t (id serial PRIMARY KEY, v int)").unwrap();
    rig.settings.address = pg.url_for("second").parse().unwrap();
    check(&rig, Kind::Tape, "database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_an_older_copy_is_refused() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA pgtape; CREATE TABLE pgtape.heartbeat (id int PRIMARY KEY, lsn pg_lsn NOT NULL, at timestamptz)",
    )
    .unwrap();
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id serial PRIMARY KEY, v int)").unwrap();
    let mut rig = Rig::new(&pg.url(), "beat", "s.*");
    rig.settings.heartbeat_every = std::time::Duration::from_millis(50);
    let mut running = rig.stream().await;
    pg.psql("INSERT INTO s.t (v) VALUES (1)").unwrap();
    let file = rig.dir.path().join("heartbeat");
    for _ in 0..200 {
        running.reach(lsn(&pg.psql(HERE).unwrap())).await;
        if file.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.stop().await;
    assert!(file.exists(), "no heartbeat was seen");
    // What an older copy of the database would hold.
    pg.psql("UPDATE pgtape.heartbeat SET lsn = '0/1'").unwrap();
    check(&rig, Kind::Tape, "newest heartbeat").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_would_hurt_are_refused() {
    let pg = server(&[("wal_level", "replica")]);
    pg.psql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    check(&Rig::new(&pg.url(), "level", "public.*"), Kind::Server, "wal_level").await;
    let pg = server(&[("synchronous_standby_names", "FIRST 1 (*)"), ("synchronous_commit", "local")]);
    pg.psql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    check(&Rig::new(&pg.url(), "sync", "public.*"), Kind::Server, "synchronous_standby_names").await;
    let pg = server(&[("max_replication_slots", "1")]);
    pg.psql("CREATE TABLE t (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('taken')").unwrap();
    check(&Rig::new(&pg.url(), "full", "public.*"), Kind::Slot, "max_replication_slots").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_captured_are_refused_with_the_statement_that_helps() {
    let db = database();
    db.psql(
        "CREATE SCHEMA s; CREATE TABLE s.keyless (v text); CREATE TABLE s.fine (id int PRIMARY KEY);
         CREATE TABLE s.parts (id int, at date) PARTITION BY RANGE (at); ALTER TABLE s.parts REPLICA IDENTITY FULL;
         CREATE TABLE s.parts_1 PARTITION OF s.parts DEFAULT",
    )
    .unwrap();
    let rig = |tables: &str| Rig::new(&db.url(), db.name(), tables);
    check(&rig("s.keyless"), Kind::Server, "ALTER TABLE \"s\".\"keyless\" REPLICA IDENTITY FULL;").await;
    check(&rig("s.parts"), Kind::Server, "ALTER TABLE \"s\".\"parts_1\" REPLICA IDENTITY FULL;").await;
    check(&rig("s.fin"), Kind::Server, "nearest: s.fine").await;
    check(&rig("nowhere.*"), Kind::Server, "no table matches nowhere.*").await;
    assert_eq!(db.psql("SELECT count(*) FROM pg_publication").unwrap().trim(), "0", "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_what_to_run() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE ROLE reader LOGIN PASSWORD 'r' ;
         GRANT USAGE ON SCHEMA s TO reader",
    )
    .unwrap();
    let (_, rest) = pg.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let rig = Rig::new(&format!("postgres://reader:r@{rest}"), "poor", "s.*");
    check(&rig, Kind::Server, "ALTER ROLE \"reader\" REPLICATION;").await;
    pg.psql("ALTER ROLE reader REPLICATION").unwrap();
    check(&rig, Kind::Server, "GRANT USAGE ON SCHEMA \"s\" TO \"reader\"; GRANT SELECT ON \"s\".\"t\" TO \"reader\";")
        .await;
    pg.psql("GRANT SELECT ON s.t TO reader").unwrap();
    check(&rig, Kind::Server, "CREATE PUBLICATION \"poor\" FOR TABLE ONLY \"s\".\"t\"").await;
    pg.psql("CREATE PUBLICATION poor FOR TABLE ONLY s.t WITH (publish_via_partition_root = true)").unwrap();
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (1); {HERE}")).unwrap())).await;
    running.stop().await;
    let rig = Rig::new(&format!("postgres://reader:wrong@{rest}"), "poor", "s.*");
    check(&rig, Kind::Unreachable, "password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_is_refused_after_a_while() {
    let pg = server(&[]);
    let rig = followed(&pg, "busy").await;
    let twin = Rig { settings: rig.settings.clone(), dir: tempfile::tempdir().unwrap() };
    // A copy of the tape, so that only the slot is in the way.
    let copied = std::process::Command::new("cp").arg("-r").arg(rig.tape_dir()).arg(twin.tape_dir()).status().unwrap();
    assert!(copied.success());
    let running = rig.stream().await;
    check(&twin, Kind::Slot, "in use").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_put_back_to_an_older_copy_is_behind_the_tape() {
    let pg = server(&[]);
    let rig = followed(&pg, "older").await;
    pg.stop_fast().unwrap();
    let copy = pg.data_dir().with_extension("copy");
    let run = |program: &str, args: &[&std::path::Path]| {
        let status = std::process::Command::new(program).arg("-a").args(args).status().unwrap();
        assert!(status.success());
    };
    run("cp", &[&pg.data_dir(), &copy]);
    pg.start_again().unwrap();
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t SELECT generate_series(100, 5000); {HERE}")).unwrap())).await;
    running.stop().await;
    pg.stop_fast().unwrap();
    std::fs::remove_dir_all(pg.data_dir()).unwrap();
    std::fs::rename(&copy, pg.data_dir()).unwrap();
    pg.start_again().unwrap();
    check(&rig, Kind::Tape, "behind the tape").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_vanished_stops_the_source() {
    let pg = server(&[]);
    let rig = followed(&pg, "unpublished").await;
    let running = rig.stream().await;
    pg.psql("DROP PUBLICATION unpublished; INSERT INTO s.t (v) VALUES (1)").unwrap();
    let refusal = running.ended().await.expect_err("nothing is published").into_refusal();
    assert!(refusal.kind == Kind::Server && refusal.what.contains("publication"), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_security_that_would_hide_rows_is_refused() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); ALTER TABLE s.t ENABLE ROW LEVEL SECURITY;
         CREATE ROLE reader LOGIN REPLICATION PASSWORD 'r'; GRANT USAGE ON SCHEMA s TO reader; GRANT SELECT ON s.t TO reader;
         CREATE POLICY few ON s.t USING (id > 5); INSERT INTO s.t VALUES (1), (9); CREATE PUBLICATION rls FOR TABLE s.t",
    )
    .unwrap();
    let (_, rest) = pg.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let rig = Rig::new(&format!("postgres://reader:r@{rest}"), "rls", "s.*");
    check(&rig, Kind::Server, "BYPASSRLS").await;
    let slots = "SELECT count(*) FROM pg_replication_slots";
    assert_eq!(pg.psql(slots).unwrap().trim(), "0", "no slot keeps WAL for a copy that will not be");
    // The slot of that name is nobody's of ours any more.
    pg.psql("SELECT pg_create_logical_replication_slot('rls', 'pgoutput'); ALTER ROLE reader BYPASSRLS").unwrap();
    check(&rig, Kind::Slot, "slot").await;
    pg.psql("SELECT pg_drop_replication_slot('rls')").unwrap();
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (10); {HERE}")).unwrap())).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t").len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_leaves_the_publication_as_it_was() {
    let pg = server(&[]);
    let mut rig = followed(&pg, "kept").await;
    pg.psql("CREATE TABLE s.more (id int PRIMARY KEY); SELECT pg_drop_replication_slot('kept')").unwrap();
    let published = "SELECT string_agg(prrelid::regclass::text, ' ' ORDER BY 1) FROM pg_publication_rel";
    rig.settings.tables = pgtape::model::Pattern::parse_list("s.more").unwrap();
    check(&rig, Kind::Slot, "slot kept is gone").await;
    assert_eq!(pg.psql(published).unwrap().trim(), "s.t");
    let fresh = Rig::new(&pg.url(), "strange", "s.*");
    pg.psql("SELECT pg_create_logical_replication_slot('strange', 'pgoutput')").unwrap();
    check(&fresh, Kind::Slot, "the tape is empty").await;
    assert_eq!(pg.psql("SELECT count(*) FROM pg_publication WHERE pubname = 'strange'").unwrap().trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tape_of_another_server_is_called_that() {
    let (one, other) = (server(&[]), server(&[]));
    let mut rig = followed(&one, "mixed").await;
    // Its slot of the same name is far ahead: that proves nothing of this tape.
    let elsewhere = followed(&other, "mixed").await;
    other.psql("INSERT INTO s.t SELECT generate_series(100, 9000); SELECT pg_switch_wal()").unwrap();
    let mut running = elsewhere.stream().await;
    running.reach(lsn(&other.psql(&format!("INSERT INTO s.t (id) VALUES (99); {HERE}")).unwrap())).await;
    running.stop().await;
    rig.settings.address = elsewhere.settings.address.clone();
    check(&rig, Kind::Tape, "this server is system").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_sends_less_than_before_stops_the_source() {
    let pg = server(&[]);
    let rig = followed(&pg, "less").await;
    let running = rig.stream().await;
    pg.psql("ALTER PUBLICATION less SET (publish = 'insert, truncate')").unwrap();
    let refusal = running.ended().await.expect_err("updates are not sent").into_refusal();
    assert!(refusal.kind == Kind::Server && refusal.what.contains("options of publication"), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_taken_out_of_the_publication_stops_the_source_and_a_start_brings_it_back_whole() {
    let pg = server(&[]);
    let rig = followed(&pg, "taken").await;
    let running = rig.stream().await;
    pg.psql("ALTER PUBLICATION taken DROP TABLE s.t; INSERT INTO s.t (id, v) VALUES (50, 5)").unwrap();
    let refusal = running.ended().await.expect_err("its changes are not sent").into_refusal();
    assert!(refusal.kind == Kind::Server && refusal.what.contains("does not publish s.t"), "{refusal:?}");
    let mut running = rig.stream().await;
    running.refreshed(&rig, 1).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t"), ["1|1", "50|5"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_changes_beside_a_stream_of_another_one_and_never_under_its_own() {
    let pg = server(&[]);
    let rig = followed(&pg, "theirs").await;
    let streaming = rig.stream().await;
    let mut own = followed(&pg, "own").await;
    pg.psql("CREATE TABLE s.more (id int PRIMARY KEY)").unwrap();
    let mut running = own.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.more VALUES (1); {HERE}")).unwrap())).await;
    assert_eq!(own.replay(&running.watermark).rows("s.more"), ["1"]);
    running.stop().await;
    own.settings.publication = "theirs".into();
    own.settings.slot = "second".into();
    own.settings.tables = pgtape::model::Pattern::parse_list("s.t").unwrap();
    own.dir = tempfile::tempdir().unwrap();
    pg.psql("ALTER PUBLICATION theirs ADD TABLE ONLY s.more").unwrap();
    check(&own, Kind::Slot, "slot theirs is streamed from").await;
    streaming.stop().await;
}
