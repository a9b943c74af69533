//! Schema changes while it runs: the table is copied again at one exact position.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgtape::tape::Kind;

use super::HERE;
use super::rig::{Rig, lsn, sorted};
use crate::common::server;

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_with_a_default_reaches_rows_that_nothing_touched() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text); INSERT INTO s.t SELECT g, 'v' FROM generate_series(1, 100) g").unwrap();
    let rig = Rig::new(&pg.url(), "added", "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    pg.psql("ALTER TABLE s.t ADD COLUMN w int NOT NULL DEFAULT 7; INSERT INTO s.t VALUES (101, 'v', 8)").unwrap();
    running.refreshed(&rig, 1).await;
    pg.psql("ALTER TABLE s.t DROP COLUMN v; UPDATE s.t SET w = 9 WHERE id = 5").unwrap();
    pg.psql("ALTER TABLE s.t ALTER COLUMN w TYPE numeric(10,2); UPDATE s.t SET w = 1 WHERE id = 6").unwrap();
    running.refreshed(&rig, 2).await;
    running.reach(lsn(&pg.psql(&format!("DELETE FROM s.t WHERE id = 7; {HERE}")).unwrap())).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t"), sorted(&pg.psql("SELECT * FROM s.t").unwrap()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_writers_is_exact() {
    let pg = Arc::new(server(&[]));
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id bigint PRIMARY KEY, n int); INSERT INTO s.t SELECT g, 0 FROM generate_series(1, 5000) g").unwrap();
    let rig = Rig::new(&pg.url(), "exact", "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (pg, stop) = (pg.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                pg.psql(&format!(
                    "INSERT INTO s.t (id, n) VALUES ({round} + 100000, 1); UPDATE s.t SET n = n + 1 WHERE id % 100 = {round} % 100;
                     DELETE FROM s.t WHERE id = {round}"
                ))
                .unwrap();
            }
        })
    };
    for times in 1..=3 {
        pg.psql(&format!("ALTER TABLE s.t ADD COLUMN c{times} int DEFAULT {times}")).unwrap();
        running.refreshed(&rig, times).await;
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t"), sorted(&pg.psql("SELECT * FROM s.t").unwrap()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_while_it_was_away_and_a_table_added_are_copied_at_the_start() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1), (2)").unwrap();
    let mut rig = Rig::new(&pg.url(), "away", "s.*");
    rig.settings.tables = pgtape::model::Pattern::parse_list("s.t").unwrap();
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    running.stop().await;
    pg.psql(
        "ALTER TABLE s.t ADD COLUMN w int DEFAULT 5; CREATE TABLE s.later (id int PRIMARY KEY); INSERT INTO s.later VALUES (9)",
    )
    .unwrap();
    rig.settings.tables = pgtape::model::Pattern::parse_list("s.*").unwrap();
    let mut running = rig.stream().await;
    running.refreshed(&rig, 1).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(
        (replay.rows("s.t"), replay.rows("s.later")),
        (vec!["1|5".to_owned(), "2|5".to_owned()], vec!["9".to_owned()])
    );
    running.stop().await;
    // And the next start needs none: what the tape knows is read back from it.
    let running = rig.stream().await;
    let mut running = running;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.later VALUES (10); {HERE}")).unwrap())).await;
    let refreshes = rig.replay(&running.watermark).units.iter().filter(|u| u.kind == Kind::Refresh).count();
    assert_eq!(refreshes, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_out_of_the_publication_for_a_moment_is_copied_again() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s.u (id int PRIMARY KEY)").unwrap();
    let rig = Rig::new(&pg.url(), "moment", "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (1); {HERE}")).unwrap())).await;
    pg.psql(
        "ALTER PUBLICATION moment DROP TABLE s.t; INSERT INTO s.t VALUES (2); INSERT INTO s.u VALUES (1);
         ALTER PUBLICATION moment ADD TABLE ONLY s.t",
    )
    .unwrap();
    running.refreshed(&rig, 1).await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (3); {HERE}")).unwrap())).await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t"), ["1", "2", "3"]);
    assert_eq!(replay.rows("s.u"), ["1"]);
    let refresh = replay.units.iter().find(|unit| unit.kind == Kind::Refresh).unwrap();
    assert_eq!(refresh.tables, ["s.t"], "the others missed nothing");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_left_out_for_one_run_are_gone_and_come_back_whole() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s.u (id int PRIMARY KEY)").unwrap();
    let mut rig = Rig::new(&pg.url(), "narrow", "s.*");
    let tables = |list| pgtape::model::Pattern::parse_list(list).unwrap();
    let mut running = rig.stream().await;
    running
        .reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (1); INSERT INTO s.u VALUES (1); {HERE}")).unwrap()))
        .await;
    running.stop().await;
    rig.settings.tables = tables("s.t");
    let mut running = rig.stream().await;
    running.refreshed(&rig, 1).await;
    running
        .reach(lsn(&pg.psql(&format!("INSERT INTO s.t VALUES (2); INSERT INTO s.u VALUES (2); {HERE}")).unwrap()))
        .await;
    let replay = rig.replay(&running.watermark);
    assert_eq!(replay.rows("s.t"), ["1", "2"]);
    assert_eq!(replay.rows("s.u"), [""; 0], "what is not captured is not kept");
    running.stop().await;
    rig.settings.tables = tables("s.*");
    let mut running = rig.stream().await;
    running.refreshed(&rig, 2).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.u"), ["1", "2"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_took_the_name_of_another_is_copied() {
    let pg = server(&[]);
    pg.psql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v int); INSERT INTO s.t VALUES (1, 1)").unwrap();
    let rig = Rig::new(&pg.url(), "namesake", "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(HERE).unwrap())).await;
    pg.psql("ALTER TABLE s.t DROP COLUMN v, ADD COLUMN v int DEFAULT 3").unwrap();
    running.refreshed(&rig, 1).await;
    assert_eq!(rig.replay(&running.watermark).rows("s.t"), ["1|3"]);
    running.stop().await;
}
