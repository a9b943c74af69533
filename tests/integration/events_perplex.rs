//! perplex's events: the files run with psql leave the same rows as the Rust writer, and repeats change nothing.

use pgtape::engines::perplex::{
    Deposit, Direction, Funding, Leg, Order, Payment, Position, Trade, Writer, place_event_id,
};
use pgtape::engines::{Error, Side};
use pgtape::sandbox::Database;
use uuid::Uuid;

use crate::common::engines::{engine_database, event, rows, store};

const TABLES: [&str; 7] = [
    "perplex.open_orders",
    "perplex.positions",
    "perplex.fills",
    "perplex.vault_balances",
    "perplex.public_trades",
    "perplex.funding_history",
    "perplex.funding_payments",
];

fn all_rows(database: &Database) -> Vec<String> {
    TABLES.iter().map(|table| rows(database, table, &["seq"])).collect()
}

fn order(id: &str, qty: &str) -> Order {
    Order {
        id: id.into(),
        address: "0xm".into(),
        market_id: "BTC-PERP".into(),
        side: Side::Sell,
        order_type: "limit".into(),
        price: "60000.10".parse().unwrap(),
        qty: qty.parse().unwrap(),
        remaining: qty.parse().unwrap(),
        ts_ns: 1_769_853_600_000_000_000,
        client_order_id: None,
    }
}

fn position(address: &str, side: Direction, size: &str) -> Position {
    Position {
        address: address.into(),
        market_id: "BTC-PERP".into(),
        size: size.parse().unwrap(),
        side,
        entry_price_x18: "60000100000000000000000".parse().unwrap(),
        mark_price_x18: "60000100000000000000000".parse().unwrap(),
        notional_usdc: "30000.05".parse().unwrap(),
        unrealised_pnl_usdc: "0".parse().unwrap(),
        realised_pnl_usdc: "0".parse().unwrap(),
        leverage: "10".parse().unwrap(),
        liquidation_price_x18: "54000090000000000000000".parse().unwrap(),
        funding_paid_usdc: "0.00".parse().unwrap(),
        last_updated_ts_ns: 1_769_853_601_000_000_000,
    }
}

fn trade(id: &str, qty: &str, positions: Vec<Position>) -> Trade {
    let leg = |order: &str, address: &str, role: &str, side, fee: &str, delta: &str| Leg {
        order_id: order.into(),
        address: address.into(),
        fill_id: format!("{id}-{role}"),
        side,
        fee_usdc: fee.parse().unwrap(),
        delta_usdc: delta.parse().unwrap(),
    };
    Trade {
        id: id.into(),
        market_id: "BTC-PERP".into(),
        price: "60000.10".parse().unwrap(),
        qty: qty.parse().unwrap(),
        ts_ns: 1_769_853_601_000_000_000,
        tx_hash: "0xabc".into(),
        maker: leg("o1", "0xm", "m", Side::Sell, "3", "-3"),
        taker: leg("o9", "0xt", "t", Side::Buy, "15.5", "-15.5"),
        positions,
    }
}

fn deposit(n: u128, address: &str) -> Deposit {
    let amount_usdc = "100.123456789012345678901234567890".parse().unwrap();
    Deposit { event_id: Uuid::from_u128(n), address: address.into(), amount_usdc }
}

fn funding() -> Funding {
    let payment = |id: &str, address: &str, amount: &str| Payment {
        id: id.into(),
        address: address.into(),
        amount_usdc: amount.parse().unwrap(),
    };
    Funding {
        market_id: "BTC-PERP".into(),
        ts_ns: 1_769_853_602_000_000_000,
        rate_bps: -2.5,
        payments: vec![payment("p1", "0xm", "1.25"), payment("p2", "0xt", "-1.25")],
    }
}

/// Both open, then the maker's order goes and the taker's position closes.
fn trades() -> [Trade; 2] {
    [
        trade("t1", "0.5", vec![position("0xm", Direction::Short, "0.5"), position("0xt", Direction::Long, "0.5")]),
        trade("t2", "0.7", vec![position("0xm", Direction::Short, "1.2"), position("0xt", Direction::Long, "0")]),
    ]
}

/// Every event; answers whether each changed something.
async fn write_all(database: &Database) -> Vec<bool> {
    let writer = Writer::new(store(database));
    let mut applied = Vec::new();
    for deposit in [deposit(1, "0xm"), deposit(2, "0xm"), deposit(3, "0xt")] {
        applied.push(writer.deposit(&deposit).await.unwrap().applied);
    }
    for order in [order("o1", "1.2"), order("o2", "2")] {
        applied.push(writer.place_order(&order).await.unwrap().applied);
    }
    let [first, second] = trades();
    applied.push(writer.match_trade(&first).await.unwrap().applied);
    applied.push(writer.funding(&funding()).await.unwrap().applied);
    applied.push(writer.match_trade(&second).await.unwrap().applied);
    applied.push(writer.cancel_order("o2").await.unwrap().applied);
    applied
}

fn match_with_psql(database: &Database, trade: &Trade) -> String {
    let text = |value: &str| format!("'{value}'");
    let (maker, taker) = (&trade.maker, &trade.taker);
    let positions = text(&serde_json::to_string(&trade.positions).unwrap());
    let arguments: Vec<String> = [
        &trade.id,
        &trade.market_id,
        trade.price.as_str(),
        trade.qty.as_str(),
        "1769853601000000000",
        &trade.tx_hash,
        &maker.order_id,
        &maker.address,
        &maker.fill_id,
        maker.side.lower(),
        maker.fee_usdc.as_str(),
        &taker.order_id,
        &taker.address,
        &taker.fill_id,
        taker.side.lower(),
        taker.fee_usdc.as_str(),
        maker.delta_usdc.as_str(),
        taker.delta_usdc.as_str(),
    ]
    .into_iter()
    .map(text)
    .chain([positions])
    .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    event(database, "engines/perplex/events/match_trade.sql", &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn perplex_files_leave_the_rows_of_the_writer() {
    let (rust, psql) = (engine_database("perplex").await, engine_database("perplex").await);
    assert_eq!(write_all(&rust).await, [true; 9]);

    let run = |file: &str, arguments: &[&str]| event(&psql, &format!("engines/perplex/events/{file}.sql"), arguments);
    for (n, address) in [(1, "'0xm'"), (2, "'0xm'"), (3, "'0xt'")] {
        let id = format!("'{}'", Uuid::from_u128(n));
        run("deposit", &[&id, address, "'100.123456789012345678901234567890'"]);
    }
    for (id, qty) in [("o1", "'1.2'"), ("o2", "'2'")] {
        let (event_id, id) = (format!("'{}'", place_event_id(id)), format!("'{id}'"));
        let rest =
            ["'0xm'", "'BTC-PERP'", "'sell'", "'limit'", "'60000.10'", qty, qty, "'1769853600000000000'", "NULL"];
        run("place_order", &[&[event_id.as_str(), id.as_str()], &rest[..]].concat());
    }
    let [first, second] = trades();
    assert_eq!(match_with_psql(&psql, &first), "t|t");
    let payments = format!("'{}'", serde_json::to_string(&funding().payments).unwrap());
    run("funding", &["'BTC-PERP'", "1769853602000000000", "-2.5", &payments]);
    assert_eq!(match_with_psql(&psql, &second), "t|t");
    assert_eq!(run("cancel_order", &["'o2'"]), "t");

    assert_eq!(all_rows(&rust), all_rows(&psql));
    let held = psql.psql("SELECT address, amount FROM perplex.vault_balances ORDER BY 1").unwrap();
    assert_eq!(held, "0xm|195.496913578024691357802469135780\n0xt|67.873456789012345678901234567890");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_perplex_events_changes_nothing() {
    let database = engine_database("perplex").await;
    assert_eq!(write_all(&database).await, [true; 9]);
    let before = all_rows(&database);
    // Also placing: an order that is gone does not come back.
    assert_eq!(write_all(&database).await, [false; 9]);
    assert_eq!(all_rows(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_id_of_placing_an_order_is_the_same_in_sql() {
    let database = engine_database("perplex").await;
    let sql = "SELECT ledger.uuid_v5('6a3f0c52-3d0e-5b1f-9d4e-2f7a1c8e5b01', 'place:o1')";
    assert_eq!(database.psql(sql).unwrap(), place_event_id("o1").to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_against_an_order_that_does_not_rest_is_refused_whole() {
    let database = engine_database("perplex").await;
    let writer = Writer::new(store(&database));
    writer.place_order(&order("o1", "0.4")).await.unwrap();
    let before = all_rows(&database);
    let [too_much, _] = trades();
    assert!(matches!(writer.match_trade(&too_much).await, Err(Error::Conflict { op: "perplex.match_trade" })));
    assert_eq!(all_rows(&database), before);
}
