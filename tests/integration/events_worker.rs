//! worker's events: the files run with psql leave the same rows as the Rust writer, and repeats change nothing.

use jiff::Timestamp;
use pgtape::engines::Side;
use pgtape::engines::worker::queries::Period;
use pgtape::engines::worker::{
    Audit, EventType, Fill, FillStatus, FundingPayment, FundingSnapshot, Kind, Order, Snapshot, Status, StatusChange,
    Writer,
};
use pgtape::sandbox::Database;
use serde_json::json;
use uuid::Uuid;

use crate::common::engines::{engine_database, event, rows, store};

const TABLES: [&str; 6] = [
    "worker.orders",
    "worker.fills",
    "worker.state_snapshots",
    "worker.audit_log",
    "worker.funding_snapshots",
    "worker.funding_payments",
];

fn all_rows(database: &Database) -> Vec<String> {
    // created_at is the writer's only in orders and audit_log.
    let without = |table: &str| if ["worker.orders", "worker.audit_log"].contains(&table) { "" } else { "created_at" };
    TABLES.iter().map(|table| rows(database, table, &[without(table)])).collect()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn order(n: u128, key: &str) -> Order {
    Order {
        id: id(n),
        idempotency_key: key.into(),
        exchange: "kraken".into(),
        symbol: "BTC-USD".into(),
        side: Side::Buy,
        kind: Kind::Limit,
        quantity_base: 500,
        price_quote: Some(60_000),
        placed_at: at("2026-01-31T10:00:00Z"),
    }
}

fn fill(n: u128, order: u128, name: &str, status: FillStatus) -> Fill {
    Fill {
        id: id(n),
        order_id: id(order),
        exchange_fill_id: name.into(),
        price_quote: 59_999,
        quantity_base: 200,
        fee_quote: -1,
        fee_asset: "USD".into(),
        filled_at: at("2026-01-31T10:00:02.5Z"),
        status,
    }
}

fn status(order: u128, status: Status, exchange_id: Option<&str>) -> StatusChange {
    StatusChange {
        order_id: id(order),
        status,
        exchange_order_id: exchange_id.map(Into::into),
        said_at: at("2026-01-31T10:00:01Z"),
    }
}

fn funding(n: u128, time: &str) -> FundingSnapshot {
    FundingSnapshot {
        id: id(n),
        exchange: "kraken".into(),
        symbol: "BTC-USD".into(),
        funding_rate_bps: -3,
        mark_price_quote: 60_001,
        index_price_quote: 60_000,
        snapshot_at: at(time),
    }
}

fn audit(n: u128, time: &str) -> Audit {
    Audit { id: id(n), event_type: EventType::Decision, event_data: json!({"why": "é\"'"}), created_at: at(time) }
}

#[tokio::test]
async fn the_files_leave_the_rows_of_the_writer() {
    let (by_hand, by_writer) = (engine_database("worker").await, engine_database("worker").await);
    let writer = Writer::new(store(&by_writer));
    writer.place_order(&order(1, "k1")).await.unwrap();
    writer.change_status(&status(1, Status::Open, Some("x1"))).await.unwrap();
    writer.record_fill(&fill(2, 1, "f1", FillStatus::PartiallyFilled)).await.unwrap();
    let state = Snapshot { id: id(3), snapshot: json!({"balances": []}), reconciled_at: at("2026-01-31T11:00:00Z") };
    writer.record_snapshot(&state).await.unwrap();
    writer.record_audit(&audit(4, "2026-01-31T11:00:00Z")).await.unwrap();
    writer.record_funding(&funding(5, "2026-01-31T11:00:00Z")).await.unwrap();
    let payment = FundingPayment {
        id: id(6),
        exchange: "kraken".into(),
        symbol: "BTC-USD".into(),
        asset: "USD".into(),
        amount_quote: -9_000_000_000_000,
        paid_at: at("2026-01-31T12:00:00Z"),
    };
    writer.record_payment(&payment).await.unwrap();

    let file = |name: &str, arguments: &str| {
        let path = format!("engines/worker/events/{name}.sql");
        let first = event(&by_hand, &path, &[arguments]);
        let second = event(&by_hand, &path, &[arguments]);
        assert_eq!((&first[..1], &second[..1]), ("t", "f"), "{name}");
        assert_eq!(first[1..], second[1..], "{name}");
    };
    let id = |n: u32| format!("'00000000-0000-0000-0000-00000000000{n}'");
    let (market, hour) = ("'kraken', 'BTC-USD'", "'2026-01-31 11:00:00+00'");
    file("order", &format!("{}, 'k1', {market}, 'BUY', 500, 60000, 'LIMIT', '2026-01-31 10:00:00+00'", id(1)));
    file("order_status", &format!("{}, 'OPEN', 'x1', '2026-01-31 10:00:01+00'", id(1)));
    let fill = "'f1', 59999, 200, -1, 'USD', '2026-01-31 10:00:02.5+00', 'PARTIALLY_FILLED'";
    file("fill", &format!("{}, {}, {fill}", id(2), id(1)));
    file("snapshot", &format!("{}, '{{\"balances\": []}}', {hour}", id(3)));
    file("audit", &format!("{}, 'DECISION', '{{\"why\": \"é\\\"''\"}}', {hour}", id(4)));
    file("funding_snapshot", &format!("{}, {market}, -3, 60001, 60000, {hour}", id(5)));
    file("funding_payment", &format!("{}, {market}, 'USD', -9000000000000, '2026-01-31 12:00:00+00'", id(6)));

    assert_eq!(all_rows(&by_hand), all_rows(&by_writer));
    assert!(all_rows(&by_hand).iter().all(|rows| !rows.is_empty()));
}

#[tokio::test]
async fn many_retries_of_one_decision_at_once_make_one_order() {
    let database = engine_database("worker").await;
    let writer = Writer::new(store(&database));
    for round in 0..20 {
        let orders: Vec<Order> = (1..=8).map(|n| order(round * 100 + n, &format!("key {round}"))).collect();
        let placed = futures_util::future::join_all(orders.iter().map(|order| writer.place_order(order))).await;
        let placed: Vec<_> = placed.into_iter().map(Result::unwrap).collect();
        assert_eq!(placed.iter().filter(|p| p.written.applied).count(), 1);
        assert!(placed.iter().all(|p| p.id == placed[0].id), "every retry learns the id of the first");
    }
    assert_eq!(database.psql("SELECT count(*) FROM worker.orders").unwrap(), "20");
}

#[tokio::test]
async fn a_fill_and_its_status_are_one_and_happen_once() {
    let database = engine_database("worker").await;
    let writer = Writer::new(store(&database));
    writer.place_order(&order(1, "k1")).await.unwrap();
    let now = || {
        let sql = "SELECT status, (SELECT count(*) FROM worker.fills) FROM worker.orders";
        database.psql(sql).unwrap()
    };
    assert!(writer.record_fill(&fill(2, 1, "f1", FillStatus::PartiallyFilled)).await.unwrap().applied);
    assert_eq!(now(), "PARTIALLY_FILLED|1");
    assert!(!writer.change_status(&status(1, Status::Open, None)).await.unwrap().applied, "OPEN came late");
    assert!(writer.record_fill(&fill(3, 1, "f2", FillStatus::Filled)).await.unwrap().applied);
    assert_eq!(now(), "FILLED|2");
    assert!(!writer.record_fill(&fill(4, 1, "f1", FillStatus::PartiallyFilled)).await.unwrap().applied);
    assert!(!writer.change_status(&status(1, Status::Cancelled, None)).await.unwrap().applied);
    assert_eq!(now(), "FILLED|2");
    writer.record_fill(&fill(5, 9, "f3", FillStatus::Filled)).await.unwrap_err();
    assert_eq!(now(), "FILLED|2", "a fill of an order that is not there is refused");
}

#[tokio::test]
async fn a_late_fill_leaves_a_cancelled_order_cancelled_unless_it_completes_it() {
    let database = engine_database("worker").await;
    let writer = Writer::new(store(&database));
    writer.place_order(&order(1, "k1")).await.unwrap();
    writer.change_status(&status(1, Status::Cancelled, Some("x1"))).await.unwrap();
    let check = |want: &str| assert_eq!(database.psql("SELECT status FROM worker.orders").unwrap(), want);
    assert!(writer.record_fill(&fill(2, 1, "f1", FillStatus::PartiallyFilled)).await.unwrap().applied);
    check("CANCELLED");
    writer.record_fill(&fill(3, 1, "f2", FillStatus::Filled)).await.unwrap();
    check("FILLED");
}

#[tokio::test]
async fn questions_about_time_read_only_their_months() {
    let database = engine_database("worker").await;
    let writer = Writer::new(store(&database));
    for (n, time) in (1..).zip(["2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z"]) {
        writer.record_funding(&funding(n, time)).await.unwrap();
        writer.record_audit(&audit(n, time)).await.unwrap();
    }
    let period = Period { from: at("2026-01-31T00:00:00Z"), to: at("2026-02-28T00:00:00Z") };
    let ids = |rows: Vec<Uuid>| rows.iter().map(Uuid::as_u128).collect::<Vec<_>>();
    let between = writer.funding_between("kraken", "BTC-USD", period, 10).await.unwrap();
    assert_eq!(ids(between.iter().map(|f| f.id).collect()), [2, 1], "newest first, the end excluded");
    assert_eq!(between[1], funding(1, "2026-01-31T23:59:59.999999Z"));
    let entries = writer.audit_between(EventType::Decision, period, 1).await.unwrap();
    assert_eq!(entries, [audit(2, "2026-02-01T00:00:00Z")]);
    let last = writer.funding_at("kraken", "BTC-USD", at("2026-02-27T00:00:00Z")).await.unwrap();
    assert_eq!(last.map(|f| f.id), Some(id(2)));
    assert_eq!(writer.funding_at("kraken", "ETH-USD", at("2026-02-27T00:00:00Z")).await.unwrap(), None);

    writer.place_order(&order(1, "k1")).await.unwrap();
    writer.record_fill(&fill(2, 1, "f1", FillStatus::PartiallyFilled)).await.unwrap();
    writer.place_order(&order(7, "k2")).await.unwrap();
    writer.change_status(&status(7, Status::Open, Some("x7"))).await.unwrap();
    let open = writer.open_orders().await.unwrap();
    assert_eq!(
        open.iter().map(|o| (o.id, o.status.as_str())).collect::<Vec<_>>(),
        [(id(1), "PARTIALLY_FILLED"), (id(7), "OPEN")]
    );
    let fills = writer.fills_between(period, 10).await.unwrap();
    assert_eq!(fills.iter().map(|f| (f.id, f.side, f.quantity_base)).collect::<Vec<_>>(), [(id(2), Side::Buy, 200)]);
    assert_eq!(writer.latest_snapshot().await.unwrap(), None);
}

#[tokio::test]
async fn a_plan_of_a_period_touches_the_leaves_of_its_months_alone() {
    let database = engine_database("worker").await;
    database.psql("SELECT pgtape.add_partitions('worker.audit_log', '2001-01-01', 3)").unwrap();
    let sql = crate::common::engines::sql("engines/worker/queries/audit_between.sql");
    let plan = database
        .psql(&format!(
            "PREPARE q AS {sql}; EXPLAIN EXECUTE q('ERROR', '2001-02-01 00:00:00+00', '2001-02-20 00:00:00+00', 10)"
        ))
        .unwrap();
    assert!(plan.contains("audit_log_2001_02"), "{plan}");
    assert!(!plan.contains("audit_log_2001_01") && !plan.contains("audit_log_2001_03"), "{plan}");
}
