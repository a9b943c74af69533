//! The first copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgtape::model::Identity;
use pgtape::source::{Plan, slot};
use pgtape::tape::Kind;

use super::HERE;
use super::rig::{Rig, lsn, sorted};
use crate::common::server;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_writers_equals_the_tables() {
    let pg = Arc::new(server(&[]));
    pg.psql(
        "CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY, n int, v text);
         CREATE TABLE s.b (k text, n int); ALTER TABLE s.b REPLICA IDENTITY FULL;
         INSERT INTO s.a SELECT g, 0, repeat('v', 20) FROM generate_series(1, 30000) g;
         INSERT INTO s.b SELECT 'k' || g % 100, g FROM generate_series(1, 20000) g",
    )
    .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (pg, stop) = (pg.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let id = 40_000 + writer * 100_000 + round;
                    pg.psql(&format!(
                        "BEGIN; INSERT INTO s.a VALUES ({id}, 1, 'new'); UPDATE s.a SET n = n + 1 WHERE id % 500 = {round} % 500;
                         DELETE FROM s.a WHERE id = {round} * 2 + {writer}; INSERT INTO s.b VALUES ('w', {id}); COMMIT"
                    ))
                    .unwrap();
                }
            })
        })
        .collect();
    let rig = Rig::new(&pg.url(), "copy", "s.*");
    let mut running = rig.start().await.unwrap();
    assert_eq!(running.plan, Plan::FirstCopy { epoch: 1, drop_slot: None });
    running.wait_for("transactions after the copy", |s| s.transactions > 20).await;
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.a"), sorted(&pg.psql("SELECT * FROM s.a").unwrap()));
    assert_eq!(replay.rows("s.b"), sorted(&pg.psql("SELECT * FROM s.b").unwrap()));
    let copy = &replay.units[0];
    assert_eq!((copy.kind, copy.epoch, copy.tables.len()), (Kind::Copy, 1, 2));
    let facts = &replay.facts["s.b"];
    assert_eq!((facts.relation.identity, facts.primary_key.len()), (Identity::Full, 0));
    assert_eq!(replay.facts["s.a"].primary_key, ["id"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_relation_is_what_the_copy_wrote() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA \"S p\"; CREATE TYPE \"S p\".mood AS ENUM ('ok', 'sad'); CREATE DOMAIN \"S p\".price AS numeric(10,4);
         CREATE DOMAIN \"S p\".special AS \"S p\".mood; CREATE EXTENSION hstore;
         CREATE TABLE \"S p\".\"T.\"\"x\" (id int, gone int, m \"S p\".mood, p \"S p\".price, h hstore, q \"S p\".special, w varchar(7),
           a int[], ma \"S p\".mood[], b bit(3), g int GENERATED ALWAYS AS (id * 2) STORED, \"Ünï\" text, PRIMARY KEY (w, id));
         ALTER TABLE \"S p\".\"T.\"\"x\" DROP COLUMN gone;
         CREATE TABLE \"S p\".full (id int PRIMARY KEY, v text); ALTER TABLE \"S p\".full REPLICA IDENTITY FULL;
         CREATE TABLE \"S p\".uq (a int NOT NULL, b text NOT NULL, c int); CREATE UNIQUE INDEX uq_i ON \"S p\".uq (b, a);
         ALTER TABLE \"S p\".uq REPLICA IDENTITY USING INDEX uq_i; CREATE TABLE \"S p\".empty (); ALTER TABLE \"S p\".empty REPLICA IDENTITY FULL",
    )
    .unwrap();
    let rig = Rig::new(&pg.url(), "shape", "S p.*");
    let mut running = rig.stream().await;
    let insert = "INSERT INTO \"S p\".\"T.\"\"x\" (id, m, p, h, q, w, a, ma, b, \"Ünï\") VALUES
          (1, 'ok', 1.5, 'a=>1', 'sad', 'w', '{1,NULL}', '{ok}', B'101', 'é');
        INSERT INTO \"S p\".full VALUES (1, 'x'); INSERT INTO \"S p\".uq VALUES (1, 'b', 2); INSERT INTO \"S p\".empty DEFAULT VALUES;";
    running.reach(lsn(&pg.psql(&format!("{insert}{HERE}")).unwrap())).await;
    let replay = rig.replay(&running.watermark);
    assert!(
        replay.units.iter().all(|unit| unit.kind != Kind::Refresh),
        "the copy described a table otherwise than the stream"
    );
    assert_eq!(replay.rows("S p.T.\"x"), ["1|ok|1.5000|\"a\"=>\"1\"|sad|w|{1,NULL}|{ok}|101|é"]);
    assert_eq!(replay.facts["S p.T.\"x"].primary_key, ["w", "id"]);
    assert_eq!(replay.facts["S p.uq"].indexes, [["b", "a"]]);
    assert_eq!(replay.rows("S p.empty"), [""]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_copy_is_begun_again_with_a_new_slot() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t SELECT generate_series(1, 1000)")
        .unwrap();
    let rig = Rig::new(&pg.url(), "unfinished", "s.*");
    // An open transaction holds the slot up: the program ends while it waits.
    let held = pgtape::pg::connect(&rig.settings.address, pgtape::pg::Purpose::Engine).await.unwrap();
    held.batch_execute("BEGIN; CREATE TABLE s.held (id int)").await.unwrap();
    let running = rig.start().await.unwrap();
    running.wait_for("the copy", |s| s.state == pgtape::source::State::Copying).await;
    running.stop().await;
    held.batch_execute("ROLLBACK").await.unwrap();
    // As if it had been killed after the slot was made.
    let session = pgtape::pg::connect(&rig.settings.address, pgtape::pg::Purpose::Control).await.unwrap();
    if slot::show(&session, "unfinished").await.unwrap().is_none() {
        pg.psql("SELECT pg_create_logical_replication_slot('unfinished', 'pgoutput')").unwrap();
    }
    pg.psql("INSERT INTO s.t VALUES (0)").unwrap();
    let mut running = rig.start().await.unwrap();
    assert_eq!(running.plan, Plan::FirstCopy { epoch: 1, drop_slot: Some("unfinished".into()) });
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (-1); {HERE}")).unwrap())).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t").len(), 1002);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_truncated_under_the_copy_makes_it_void() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t SELECT generate_series(1, 1000)")
        .unwrap();
    let rig = Rig::new(&pg.url(), "void", "s.*");
    // The slot waits for this transaction; when the slot is made, the snapshot is older than the TRUNCATE behind it.
    let first = pgtape::pg::connect(&rig.settings.address, pgtape::pg::Purpose::Engine).await.unwrap();
    first.batch_execute("BEGIN; INSERT INTO s.t VALUES (5000)").await.unwrap();
    let mut running = rig.start().await.unwrap();
    running.wait_for("the copy", |s| s.state == pgtape::source::State::Copying).await;
    first.batch_execute("TRUNCATE s.t; INSERT INTO s.t VALUES (1), (2); COMMIT").await.unwrap();
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (3); {HERE}")).unwrap())).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t"), ["1", "2", "3"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_starts_a_new_epoch_that_replaces() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t SELECT generate_series(1, 10)")
        .unwrap();
    let rig = Rig::new(&pg.url(), "again", "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (11); {HERE}")).unwrap())).await;
    running.stop().await;
    {
        use pgtape::tape::{Options, Proof, Writer};
        let prepared = pgtape::source::prepare(&rig.settings).await.unwrap();
        let (mut writer, recovered) =
            Writer::open(&rig.tape_dir(), Options::default(), prepared.origin(), &Proof::NONE).unwrap();
        let address = &rig.settings.address;
        assert!(pgtape::source::reset(address, "again", &mut writer, &recovered).await.unwrap());
    }
    pg.psql("DELETE FROM s.t WHERE id = 1").unwrap(); // Not in any slot.
    let mut running = rig.start().await.unwrap();
    assert!(matches!(running.plan, Plan::FirstCopy { epoch: 2, .. }));
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (12); {HERE}")).unwrap())).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t"), sorted(&pg.psql("SELECT id FROM s.t").unwrap()));
    assert_eq!(replay.units.iter().map(|u| u.epoch).max(), Some(2));
    running.stop().await;
}

/// Two that start at once both see no slot; only one gets it, and the other must never drop it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_made_by_another_at_the_last_moment_is_left_alone() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1)").unwrap();
    let rig = Rig::new(&pg.url(), "contested", "s.*");
    let make = || drop(pg.psql("SELECT pg_create_logical_replication_slot('contested', 'pgoutput')").unwrap());
    let running = rig.start_after(make).await.unwrap();
    let refusal = running.ended().await.expect_err("it is another's").into_refusal();
    assert!(refusal.what.contains("already exists"), "{refusal:?}");
    let Err(refusal) = rig.start().await else { panic!("it is still another's") };
    assert!(refusal.what.contains("not this tape's"), "{refusal:?}");
    pg.psql("SELECT pg_drop_replication_slot('contested')").unwrap();
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (2); {HERE}")).unwrap())).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t"), ["1", "2"]);
    running.stop().await;
}
