//! The standby against a real stream: what it holds is what Postgres holds.

use std::time::Duration;

use pgtape::sinks::checkpoints;
use pgtape::sinks::standby::{BookSpec, Extras, IndexSpec};

use crate::common::database;
use crate::common::pipeline::{AT_MOST, Plan, rows, rows_in_postgres};

use pgtape::model::TableName;

const SHOP: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.keyed (id int PRIMARY KEY, a text, b text, at timestamptz);
    CREATE TABLE shop.composite (x text, y int, v numeric, PRIMARY KEY (y, x));
    CREATE TABLE shop.bag (a int, b text); ALTER TABLE shop.bag REPLICA IDENTITY FULL;
    CREATE TABLE shop.whole (id bigint PRIMARY KEY, big text, n float8);
    ALTER TABLE shop.whole REPLICA IDENTITY FULL; ALTER TABLE shop.whole ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE shop.toasted (id int PRIMARY KEY, big text, n int);
    ALTER TABLE shop.toasted ALTER big SET STORAGE EXTERNAL;
    INSERT INTO shop.keyed SELECT i, 'a' || i, NULL, now() FROM generate_series(1, 50) i;
    INSERT INTO shop.bag SELECT i % 3, 'copied' FROM generate_series(1, 10) i;
    INSERT INTO shop.toasted SELECT i, repeat(i::text, 5000), i FROM generate_series(1, 5) i;
    INSERT INTO shop.whole SELECT i, repeat(i::text, 5000), i / 3.0 FROM generate_series(1, 5) i";

const TABLES: [&str; 5] = ["shop.keyed", "shop.composite", "shop.bag", "shop.whole", "shop.toasted"];

const CHANGES: [&str; 12] = [
    "INSERT INTO shop.keyed SELECT i, 'ä|\"' || i, 'b', now() FROM generate_series(100, 3100) i",
    "UPDATE shop.keyed SET id = id + 10000 WHERE id % 7 = 0",
    "UPDATE shop.keyed SET a = NULL, b = '' WHERE id % 5 = 0",
    "DELETE FROM shop.keyed WHERE id % 11 = 0",
    "INSERT INTO shop.composite SELECT 'x' || i, i % 4, i / 7.0 FROM generate_series(1, 100) i",
    "UPDATE shop.composite SET x = x || 'y', v = 'NaN' WHERE y = 1",
    "INSERT INTO shop.bag SELECT i % 5, NULL FROM generate_series(1, 50) i",
    "DELETE FROM shop.bag WHERE ctid IN (SELECT ctid FROM shop.bag WHERE a = 1 LIMIT 3)",
    "UPDATE shop.bag SET b = 'changed' WHERE a = 2",
    "UPDATE shop.toasted SET n = n + 1; UPDATE shop.toasted SET id = id + 10, n = -1 WHERE id = 2",
    "UPDATE shop.whole SET n = n + 1; UPDATE shop.whole SET id = id + 10 WHERE id = 2",
    "BEGIN; TRUNCATE shop.composite; INSERT INTO shop.composite VALUES ('after', 1, 1); COMMIT",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_standby_holds_what_postgres_holds_after_every_kind_of_change_and_restarts() {
    let database = database();
    database.psql(SHOP).unwrap();
    let plan = Plan::new(&database, "shop.*", &[]);
    let mut pipeline = plan.start().await;
    for (i, change) in CHANGES.iter().enumerate() {
        database.psql(change).unwrap();
        let view = pipeline.caught_up(&plan.url).await;
        for table in TABLES {
            assert_eq!(rows(&view, table), rows_in_postgres(&database, table), "{table} after {change}");
        }
        if i % 4 == 3 {
            pipeline.handles.control.checkpoint().await.unwrap();
            database.psql("INSERT INTO shop.bag VALUES (99, 'between checkpoint and stop')").unwrap();
            pipeline.stop().await.unwrap();
            pipeline = plan.start().await;
        }
    }
    let view = pipeline.caught_up(&plan.url).await;
    for table in view.tables() {
        assert_eq!(table.counters().misfits, 0, "{}", table.name());
    }
    assert_eq!(view.table(&TableName::new("shop", "composite")).unwrap().key_names(), ["y", "x"]);
    assert_eq!(view.table(&TableName::new("shop", "whole")).unwrap().key_names(), ["id"]);
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_change_shape_are_right_again_after_their_refresh() {
    let database = database();
    database.psql(SHOP).unwrap();
    let plan = Plan::new(&database, "shop.*", &[]);
    let pipeline = plan.start().await;
    pipeline.caught_up(&plan.url).await;
    database.psql("ALTER TABLE shop.bag ADD COLUMN c int DEFAULT 5; INSERT INTO shop.bag VALUES (1, 'x', 6)").unwrap();
    database.psql("ALTER TABLE shop.keyed DROP COLUMN a; INSERT INTO shop.keyed VALUES (7777, 'b')").unwrap();
    let deadline = tokio::time::Instant::now() + AT_MOST;
    loop {
        let view = pipeline.caught_up(&plan.url).await;
        let right = |t: &str| rows(&view, t) == rows_in_postgres(&database, t);
        if ["shop.bag", "shop.keyed"].iter().all(|t| right(t)) && view.tables().all(|t| !t.is_stale()) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:#?}", rows(&view, "shop.bag"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Rows that were never rewritten send NULL for the new column.
    database.psql("DELETE FROM shop.bag WHERE a = 0; UPDATE shop.bag SET b = 'y' WHERE a = 2").unwrap();
    let view = pipeline.caught_up(&plan.url).await;
    assert_eq!(rows(&view, "shop.bag"), rows_in_postgres(&database, "shop.bag"));
    assert_eq!(view.table(&TableName::new("shop", "bag")).unwrap().counters().misfits, 0);
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_apply_goes_exactly_to_the_wanted_position() {
    let database = database();
    database.psql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let plan = Plan::new(&database, "public.t", &[]);
    let pipeline = plan.start().await;
    pipeline.caught_up(&plan.url).await;
    let control = &pipeline.handles.control;
    let hold = control.hold(AT_MOST).await.unwrap();
    assert!(control.hold(AT_MOST).await.is_err(), "one at a time");
    database.psql("INSERT INTO t VALUES (1)").unwrap();
    let lsn = pipeline.emitted(&plan.url).await;
    database.psql("INSERT INTO t VALUES (2)").unwrap();
    let view = control.apply_until(hold.id, lsn).await.unwrap();
    assert_eq!((rows(&view, "public.t"), view.position.lsn), (vec!["1".to_owned()], lsn));
    assert!(control.apply_until(hold.id, pgtape::model::Lsn(1)).await.is_err());
    control.release(hold.id).await.unwrap();
    assert!(control.release(hold.id).await.is_err());
    assert_eq!(rows(&*pipeline.caught_up(&plan.url).await, "public.t"), ["1", "2"]);
    // A lease ends by itself.
    control.hold(Duration::from_millis(1)).await.unwrap();
    database.psql("INSERT INTO t VALUES (3)").unwrap();
    assert_eq!(rows(&*pipeline.caught_up(&plan.url).await, "public.t"), ["1", "2", "3"]);
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stands_though_the_rest_of_the_server_is_busy() {
    let (database, other) = (database(), database());
    database.psql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let plan = Plan::new(&database, "public.t", &[]);
    let pipeline = plan.start().await;
    pipeline.caught_up(&plan.url).await;
    let control = &pipeline.handles.control;
    let hold = control.hold(AT_MOST).await.unwrap();
    let lsn: pgtape::model::Lsn = database.psql("SELECT pg_current_wal_insert_lsn()").unwrap().parse().unwrap();
    other.psql("CREATE TABLE busy AS SELECT generate_series(1, 1000)").unwrap();
    let end: pgtape::model::Lsn = other.psql("SELECT pg_current_wal_insert_lsn()").unwrap().parse().unwrap();
    let deadline = tokio::time::Instant::now() + AT_MOST;
    while pipeline.watermark.lsn() < end {
        assert!(tokio::time::Instant::now() < deadline, "the tape does not hear of the rest of the server");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The tape knows that nothing happened beyond; the apply does not go there.
    assert_eq!(control.apply_until(hold.id, lsn).await.unwrap().position.lsn, lsn);
    control.release(hold.id).await.unwrap();
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_checkpoint_falls_back_to_the_one_before_and_then_to_the_tape() {
    let database = database();
    database.psql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let plan = Plan::new(&database, "public.t", &[]);
    let pipeline = plan.start().await;
    for i in 0..3 {
        database.psql(&format!("INSERT INTO t VALUES ({i})")).unwrap();
        pipeline.caught_up(&plan.url).await;
        pipeline.handles.control.checkpoint().await.unwrap();
    }
    pipeline.stop().await.unwrap();
    let dir = pgtape::sinks::checkpoints::dir(plan.data_dir());
    let all = checkpoints::list(&dir).unwrap();
    assert_eq!(all.len(), 2, "two are kept");
    for checkpoint in all {
        std::fs::write(&checkpoint.path, b"PGTAPECK").unwrap();
        let pipeline = plan.start().await;
        assert_eq!(rows(&*pipeline.caught_up(&plan.url).await, "public.t"), ["0", "1", "2"]);
        pipeline.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn books_follow_the_orders_and_are_the_same_after_a_restart() {
    let database = database();
    database.psql(
        "CREATE TABLE orders (id int PRIMARY KEY, market text, side text, price numeric(28,8), left_qty numeric(28,8), state text);
         INSERT INTO orders VALUES (1, 'A/B', 'BUY', 10, 1, 'OPEN'), (2, 'A/B', 'SELL', 11, 1, 'OPEN')",
    ).unwrap();
    let mut plan = Plan::new(&database, "public.orders", &[]);
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    plan.extras = Extras {
        indexes: vec![IndexSpec { table: TableName::new("public", "orders"), columns: texts(&["market"]) }],
        books: vec![BookSpec {
            engine: "shop".into(),
            table: TableName::new("public", "orders"),
            market: texts(&["market"]),
            side: "side".into(),
            bid: texts(&["BUY"]),
            ask: texts(&["SELL"]),
            price: "price".into(),
            quantity: "left_qty".into(),
            resting: Some(("state".into(), texts(&["OPEN"]))),
        }],
    };
    let pipeline = plan.start().await;
    pipeline.caught_up(&plan.url).await;
    database
        .psql(
            "INSERT INTO orders SELECT i, 'A/B', CASE WHEN i % 2 = 0 THEN 'BUY' ELSE 'SELL' END,
               10 + (i % 2) + (i % 10) * 0.05 * (CASE WHEN i % 2 = 0 THEN -1 ELSE 1 END), i / 8.0, 'OPEN'
             FROM generate_series(3, 400) i;
             UPDATE orders SET left_qty = left_qty / 2 WHERE id % 3 = 0;
             UPDATE orders SET state = 'FILLED' WHERE id % 7 = 0; DELETE FROM orders WHERE id % 5 = 0",
        )
        .unwrap();
    let side = |side: &str, order: &str| {
        let sql = format!(
            "SELECT price, sum(left_qty), count(*) FROM orders WHERE side = '{side}' AND state = 'OPEN' GROUP BY 1 ORDER BY 1 {order}"
        );
        database.psql(&sql).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let want = (side("BUY", "DESC"), side("SELL", "ASC"));
    let shown = |view: &pgtape::sinks::standby::View| {
        let book = view.books().book("shop", "A/B").unwrap();
        let text = |l: pgtape::sinks::standby::ShownLevel| format!("{}|{}|{}", l.price, l.quantity, l.orders);
        (book.bids().map(text).collect::<Vec<_>>(), book.asks().map(text).collect::<Vec<_>>())
    };
    let view = pipeline.caught_up(&plan.url).await;
    assert_eq!(shown(&view), want);
    pipeline.stop().await.unwrap();
    let pipeline = plan.start().await;
    let view = pipeline.caught_up(&plan.url).await;
    assert_eq!(shown(&view), want);
    pipeline.stop().await.unwrap();
}
