//! meltica's events: the files run with psql leave the same rows as the Rust writer, repeats change nothing, and its
//! queries and purges do what they say.

use std::time::Duration;

use jiff::Timestamp;
use pgtape::engines::meltica::metrics::{Migrations, PoolConnections};
use pgtape::engines::meltica::{
    Amount, Balance, Execution, Order, OrderState, OutboxLease, Provider, Reader, Route, StateChange, Strategy, Writer,
    purge_balances, purge_outbox,
};
use pgtape::engines::{Error, Side};
use pgtape::sandbox::Database;
use prometheus::Registry;
use serde_json::json;
use uuid::Uuid;

use crate::common::engines::{engine_database, event, rows, store};

const TABLES: [&str; 7] = [
    "meltica.providers",
    "meltica.provider_routes",
    "meltica.strategy_instances",
    "meltica.orders",
    "meltica.executions",
    "meltica.balances",
    "meltica.events_outbox",
];

fn all_rows(database: &Database) -> Vec<String> {
    TABLES.iter().map(|table| rows(database, table, &[])).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_769_853_600 + second).unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse::<pgtape::engines::Amount>().unwrap().try_into().unwrap()
}

fn provider(second: i64, status: &str) -> Provider {
    Provider {
        alias: "okx".into(),
        display_name: "OKX".into(),
        adapter_identifier: "okx-v5".into(),
        connection: json!({"pool": 4}),
        status: status.into(),
        metadata: json!({}),
        updated_at: at(second),
    }
}

fn route(version: i32, depth: i32, second: i64) -> Route {
    Route {
        provider_id: 1,
        symbol: "BTC-USDT".into(),
        version,
        route: json!({"depth": depth}),
        metadata: json!({}),
        updated_at: at(second),
    }
}

fn strategy() -> Strategy {
    Strategy {
        id: Uuid::from_u128(5),
        strategy_identifier: "maker".into(),
        version: "1.0".into(),
        status: "running".into(),
        config_hash: "abc".into(),
        description: "it's a maker".into(),
        metadata: json!({}),
        updated_at: at(1),
    }
}

fn order() -> Order {
    Order {
        id: Uuid::from_u128(9),
        provider_id: 1,
        strategy_instance_id: Some(Uuid::from_u128(5)),
        client_order_id: "c9".into(),
        instrument: "BTC-USDT".into(),
        side: Side::Buy,
        order_type: "limit".into(),
        quantity: amount("1.0000000000000001"),
        price: Some(amount("60000.5")),
        placed_at: at(3),
        metadata: json!({}),
        payload: json!({"n": 1}),
    }
}

fn state(from: OrderState, to: OrderState, reference: Option<&str>) -> StateChange {
    StateChange {
        id: Uuid::from_u128(9),
        from: vec![from],
        to,
        external_order_ref: reference.map(Into::into),
        at: at(4),
        payload: json!({"n": 2}),
    }
}

fn execution(name: &str, quantity: &str, state: OrderState, second: i64) -> Execution {
    Execution {
        order_id: Uuid::from_u128(9),
        provider_id: 1,
        execution_id: name.into(),
        fill_quantity: amount(quantity),
        fill_price: amount("60000"),
        fee: Some(amount("0.6")),
        fee_asset: Some("USDT".into()),
        liquidity: None,
        traded_at: at(second),
        metadata: json!({}),
        state,
        payload: json!({"n": 3}),
    }
}

fn balance(second: i64) -> Balance {
    Balance {
        provider_id: 1,
        asset: "BTC".into(),
        total: amount("2"),
        available: amount("1.5"),
        snapshot_at: at(second),
        metadata: json!({}),
        payload: json!({"n": 4}),
    }
}

/// Every event of an order's life; answers whether each changed something.
async fn write_all(database: &Database) -> Vec<bool> {
    let writer = Writer::new(store(database));
    let (first, second) = (writer.provider_saved(&provider(0, "inactive")).await.unwrap(), provider(1, "active"));
    assert_eq!(first.id, 1);
    let saved = writer.provider_saved(&second).await.unwrap();
    assert_eq!(saved.id, 1);
    let strategy = writer.strategy_saved(&strategy()).await.unwrap();
    assert_eq!(strategy.id, Uuid::from_u128(5));
    vec![
        first.applied,
        saved.applied,
        strategy.applied,
        writer.route_saved(&route(0, 20, 2)).await.unwrap().applied,
        writer.order_placed(&order()).await.unwrap().applied,
        writer.order_state(&state(OrderState::Placed, OrderState::Acknowledged, Some("V1"))).await.unwrap().applied,
        writer.execution_recorded(&execution("x1", "0.4", OrderState::PartiallyFilled, 5)).await.unwrap().applied,
        writer.execution_recorded(&execution("x2", "0.6000000000000001", OrderState::Filled, 6)).await.unwrap().applied,
        writer.execution_recorded(&execution("x0", "0", OrderState::PartiallyFilled, 7)).await.unwrap().applied,
        writer.balance_recorded(&balance(8)).await.unwrap().applied,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn meltica_files_leave_the_rows_of_the_writer() {
    let (rust, psql) = (engine_database("meltica").await, engine_database("meltica").await);
    assert_eq!(write_all(&rust).await, [true; 10]);

    let run = |file: &str, arguments: &str| {
        event(&psql, &format!("engines/meltica/events/{file}.sql"), &arguments.split("; ").collect::<Vec<_>>())
    };
    let time = |second| format!("'{}'", at(second));
    let (order, strategy) = (format!("'{}'", Uuid::from_u128(9)), format!("'{}'", Uuid::from_u128(5)));
    for (second, status, answer) in [(0, "inactive", "t|t|1"), (1, "active", "t|t|1")] {
        let values = format!("'okx'; 'OKX'; 'okx-v5'; '{{\"pool\": 4}}'; '{status}'; '{{}}'; {}", time(second));
        assert_eq!(run("provider_saved", &values), answer);
    }
    let values = format!("{strategy}; 'maker'; '1.0'; 'running'; 'abc'; 'it''s a maker'; '{{}}'; {}", time(1));
    run("strategy_saved", &values);
    run("route_saved", &format!("1; 'BTC-USDT'; 0; '{{\"depth\": 20}}'; '{{}}'; {}", time(2)));
    let values = format!("{order}; 1; {strategy}; 'c9'; 'BTC-USDT'; 'buy'; 'limit'; 1.0000000000000001; 60000.5");
    run("order_placed", &format!("{values}; {}; '{{}}'; '{{\"n\": 1}}'", time(3)));
    let values = format!("{order}; '{{placed}}'; 'acknowledged'; 'V1'; {}; '{{\"n\": 2}}'", time(4));
    assert_eq!(run("order_state", &values), "t|t");
    for (name, quantity, state, second) in [
        ("x1", "0.4", "partially_filled", 5),
        ("x2", "0.6000000000000001", "filled", 6),
        ("x0", "0", "partially_filled", 7),
    ] {
        let values = format!("{order}; 1; '{name}'; {quantity}; 60000; 0.6; 'USDT'; NULL; {}", time(second));
        assert_eq!(run("execution_recorded", &format!("{values}; '{{}}'; '{state}'; '{{\"n\": 3}}'")), "t");
    }
    run("balance_recorded", &format!("1; 'BTC'; 2; 1.5; {}; '{{}}'; '{{\"n\": 4}}'", time(8)));

    assert_eq!(all_rows(&rust), all_rows(&psql));
    let kept = psql.psql("SELECT state, quantity, completed_at = updated_at FROM meltica.orders").unwrap();
    assert_eq!(kept, "filled|1.0000000000000001|t", "a late execution does not reopen the order");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_meltica_events_changes_nothing() {
    let database = engine_database("meltica").await;
    assert_eq!(write_all(&database).await, [true; 10]);
    let before = all_rows(&database);
    let writer = Writer::new(store(&database));
    assert!(!writer.provider_saved(&provider(0, "inactive")).await.unwrap().applied, "the later save stands");
    assert!(!writer.provider_saved(&provider(1, "active")).await.unwrap().applied);
    assert!(!writer.strategy_saved(&strategy()).await.unwrap().applied);
    assert!(!writer.route_saved(&route(0, 20, 2)).await.unwrap().applied);
    assert!(!writer.order_placed(&order()).await.unwrap().applied);
    let late = execution("x1", "0.4", OrderState::PartiallyFilled, 5);
    assert!(!writer.execution_recorded(&late).await.unwrap().applied);
    assert!(!writer.balance_recorded(&balance(8)).await.unwrap().applied);
    assert_eq!(all_rows(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_changed_by_somebody_else_is_a_conflict() {
    let database = engine_database("meltica").await;
    let writer = Writer::new(store(&database));
    writer.provider_saved(&provider(0, "active")).await.unwrap();
    writer.route_saved(&route(0, 20, 1)).await.unwrap();
    assert!(writer.route_saved(&route(1, 50, 2)).await.unwrap().applied);
    assert!(!writer.route_saved(&route(1, 50, 2)).await.unwrap().applied, "the same save again");
    assert!(matches!(writer.route_saved(&route(1, 99, 2)).await, Err(Error::Conflict { op: "meltica.route_saved" })));
    assert!(matches!(writer.route_saved(&route(0, 99, 2)).await, Err(Error::Conflict { .. })));
    let routes = Reader::new(store(&database)).routes(1).await.unwrap();
    assert_eq!((routes[0].version, &routes[0].route), (2, &json!({"depth": 50})));
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_events_are_claimed_marked_and_purged() {
    let database = engine_database("meltica").await;
    write_all(&database).await;
    let store = store(&database);
    let (writer, reader) = (Writer::new(store.clone()), Reader::new(store.clone()));
    let lease = OutboxLease { limit: 4, lease: Duration::from_secs(30) };
    let types = |claimed: &[pgtape::engines::meltica::Claimed]| {
        claimed.iter().map(|event| event.event_type.clone()).collect::<Vec<_>>().join(" ")
    };
    let first = reader.claim_outbox(lease, at(100)).await.unwrap();
    assert_eq!(types(&first), "order.placed order.acknowledged execution.recorded execution.recorded");
    let second = reader.claim_outbox(lease, at(101)).await.unwrap();
    assert_eq!(types(&second), "execution.recorded balance.recorded", "claimed events are not given out twice");
    assert!(writer.outbox_delivered(&[first[0].id, first[1].id], at(102)).await.unwrap().applied);
    assert!(!writer.outbox_delivered(&[first[0].id], at(103)).await.unwrap().applied);
    assert!(writer.outbox_failed(first[2].id, at(100), "no answer", at(110)).await.unwrap().applied);
    assert!(!writer.outbox_failed(first[2].id, at(100), "no answer", at(110)).await.unwrap().applied);
    let third = reader.claim_outbox(lease, at(131)).await.unwrap();
    assert_eq!(third.len(), 4, "a failed event and those of a publisher that died come back");
    assert_eq!(third.iter().map(|event| event.attempts).max(), Some(1));
    assert_eq!(purge_outbox(&store, at(102)).await.unwrap(), 0);
    assert_eq!(purge_outbox(&store, at(103)).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_find_open_orders_and_the_newest_balances() {
    let database = engine_database("meltica").await;
    write_all(&database).await;
    let store = store(&database);
    let (writer, reader) = (Writer::new(store.clone()), Reader::new(store.clone()));
    let open = Order { id: Uuid::from_u128(10), client_order_id: "c10".into(), ..order() };
    writer.order_placed(&open).await.unwrap();
    writer.balance_recorded(&balance(9)).await.unwrap();
    let rows = reader.open_orders(1, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get("id")).collect::<Vec<Uuid>>(), [open.id]);
    let executions = reader.executions(order().id).await.unwrap();
    assert_eq!(executions.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["x1", "x2", "x0"]);
    let newest = reader.latest_balances(1).await.unwrap();
    assert_eq!(newest.iter().map(|row| row.get("snapshot_at")).collect::<Vec<Timestamp>>(), [at(9)]);
    assert_eq!(purge_balances(&store, at(1_000)).await.unwrap(), 1, "the newest stays");

    assert!(writer.provider_removed("okx", at(20)).await.unwrap().applied);
    assert!(!writer.provider_removed("okx", at(21)).await.unwrap().applied);
    assert_eq!(reader.provider("okx").await.unwrap(), None);
    writer.provider_saved(&provider(30, "active")).await.unwrap();
    assert_eq!(reader.provider("okx").await.unwrap().unwrap().id, 1, "brought back with its id");
}

#[tokio::test(flavor = "multi_thread")]
async fn meltica_sees_its_pool_and_its_migrations() {
    let database = engine_database("meltica").await;
    let store = store(&database);
    let registry = Registry::new();
    registry.register(Box::new(PoolConnections::new(store.pool().clone(), "test", "primary").unwrap())).unwrap();
    let migrations = Migrations::new().unwrap();
    registry.register(Box::new(migrations.clone())).unwrap();
    Writer::new(store.clone()).provider_saved(&provider(0, "active")).await.unwrap();
    migrations.ran(true);
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let labels = r#"{db_pool="primary",environment="test"}"#;
    for line in [
        format!("meltica_db_pool_connections_total{labels} 1"),
        format!("meltica_db_pool_connections_idle{labels} 1"),
        format!("meltica_db_pool_connections_acquired{labels} 0"),
        format!("meltica_db_pool_connections_constructing{labels} 0"),
        r#"meltica_db_migrations_total{result="applied"} 1"#.to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
