//! openmatch's events: the files run with psql leave the same rows as the Rust writer, and repeats change nothing.

use jiff::Timestamp;
use pgtape::engines::openmatch::{
    BalanceChange, Epoch, Escrow, Money, Order, Phase, Seal, Status, Trade, Transfer, Writer,
};
use pgtape::engines::{Error, Side};
use pgtape::sandbox::Database;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::common::engines::{engine_database, event, rows, store};

const TABLES: [&str; 4] = ["openmatch.orders", "openmatch.trades", "openmatch.balances", "openmatch.epochs"];

/// Users, orders, trades by number.
const BUYER: Uuid = Uuid::from_u128(1);
const SELLER: Uuid = Uuid::from_u128(2);

fn all_rows(database: &Database) -> Vec<String> {
    TABLES.iter().map(|table| rows(database, table, &[])).collect()
}

fn money(text: &str) -> Money {
    text.parse::<Decimal>().unwrap().try_into().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_769_853_600 + second).unwrap()
}

fn escrow(asset: &str, amount: &str) -> Escrow {
    Escrow { asset: asset.into(), amount: money(amount) }
}

fn gift(n: u128, user_id: Uuid, asset: &str, amount: &str) -> BalanceChange {
    let transfer = Transfer { user_id, asset: asset.into(), available: money(amount), frozen: Money::ZERO };
    BalanceChange { event_id: Uuid::from_u128(100 + n), transfer, at: at(0) }
}

fn order(n: u128, user_id: Uuid, side: Side, price: &str, quantity: &str, escrow: Escrow) -> Order {
    Order {
        id: Uuid::from_u128(10 + n),
        user_id,
        market: "BTC/USDT".into(),
        side,
        order_type: "LIMIT".into(),
        status: Status::Active,
        price: Some(money(price)),
        quantity: money(quantity),
        sequence: i64::try_from(n).unwrap(),
        origin_node: vec![0, 255],
        created_at: at(1),
        escrow: Some(escrow),
    }
}

/// The seller's two orders and the buyer's one.
fn orders() -> [Order; 3] {
    [
        order(1, SELLER, Side::Sell, "100", "2", escrow("BTC", "2")),
        order(2, SELLER, Side::Sell, "105", "0.5", escrow("BTC", "0.5")),
        order(3, BUYER, Side::Buy, "101", "1.5", escrow("USDT", "151.5")),
    ]
}

fn trade() -> Trade {
    let move_of = |user_id, asset: &str, available: &str, frozen: &str| Transfer {
        user_id,
        asset: asset.into(),
        available: money(available),
        frozen: money(frozen),
    };
    Trade {
        id: Uuid::from_u128(50),
        batch_id: 7,
        market: "BTC/USDT".into(),
        taker_order_id: Uuid::from_u128(13),
        maker_order_id: Uuid::from_u128(11),
        taker_user_id: BUYER,
        maker_user_id: SELLER,
        price: money("100"),
        quantity: money("1.5"),
        quote_amount: money("150"),
        taker_side: Side::Buy,
        matcher_node: b"m".to_vec(),
        executed_at: at(4),
        transfers: vec![
            move_of(BUYER, "USDT", "1.5", "-151.5"),
            move_of(BUYER, "BTC", "1.5", "0"),
            move_of(SELLER, "USDT", "150", "0"),
            move_of(SELLER, "BTC", "0", "-1.5"),
        ],
    }
}

fn epoch(phase: Phase, second: i64, trades: Option<i32>) -> Epoch {
    Epoch { epoch_id: 7, phase, at: at(second), result_hash: trades.map(|_| vec![9]), trade_count: trades }
}

fn seal() -> Seal {
    let orders = [11, 12, 13].map(Uuid::from_u128).to_vec();
    Seal { epoch_id: 7, batch_hash: vec![1, 2], sealed_at: at(2), orders }
}

/// Every event; answers whether each changed something.
async fn write_all(database: &Database) -> Vec<bool> {
    let writer = Writer::new(store(database));
    let mut applied = Vec::new();
    for change in [gift(1, SELLER, "BTC", "3"), gift(2, BUYER, "USDT", "1000"), gift(3, BUYER, "USDT", "0.00000001")] {
        applied.push(writer.balance_updated(&change).await.unwrap().applied);
    }
    applied.push(writer.epoch_advanced(&epoch(Phase::Collecting, 0, None)).await.unwrap().applied);
    for order in orders() {
        applied.push(writer.order_received(&order).await.unwrap().applied);
    }
    applied.push(writer.buffer_sealed(&seal()).await.unwrap().applied);
    applied.push(writer.epoch_advanced(&epoch(Phase::Matching, 3, None)).await.unwrap().applied);
    applied.push(writer.trade_executed(&trade()).await.unwrap().applied);
    applied.push(writer.epoch_advanced(&epoch(Phase::Settled, 5, Some(1))).await.unwrap().applied);
    let release = escrow("BTC", "0.5");
    applied.push(writer.order_cancelled(Uuid::from_u128(12), at(6), Some(&release)).await.unwrap().applied);
    applied
}

#[tokio::test(flavor = "multi_thread")]
async fn openmatch_files_leave_the_rows_of_the_writer() {
    let (rust, psql) = (engine_database("openmatch").await, engine_database("openmatch").await);
    assert_eq!(write_all(&rust).await, [true; 12]);

    let run = |file: &str, arguments: &str| {
        event(&psql, &format!("engines/openmatch/events/{file}.sql"), &arguments.split("; ").collect::<Vec<_>>())
    };
    let id = |n: u128| format!("'{}'", Uuid::from_u128(n));
    let time = |second| format!("'{}'", at(second));
    for (n, user, asset, amount) in [(101, 2, "BTC", "3"), (102, 1, "USDT", "1000"), (103, 1, "USDT", "0.00000001")] {
        run("balance_updated", &format!("{}; {}; '{asset}'; {amount}; 0; {}", id(n), id(user), time(0)));
    }
    run("epoch_advanced", &format!("7; 'COLLECTING'; {}; NULL; NULL", time(0)));
    for (n, user, side, price, quantity, asset, amount) in [
        (11, 2, "SELL", "100", "2", "BTC", "2"),
        (12, 2, "SELL", "105", "0.5", "BTC", "0.5"),
        (13, 1, "BUY", "101", "1.5", "USDT", "151.5"),
    ] {
        let head = format!("{}; {}; 'BTC/USDT'; '{side}'; 'LIMIT'; 'ACTIVE'; {price}; {quantity}", id(n), id(user));
        run("order_received", &format!("{head}; {}; '\\x00ff'; {}; '{asset}'; {amount}", n - 10, time(1)));
    }
    let ids = [11, 12, 13].map(|n| Uuid::from_u128(n).to_string()).join(",");
    assert_eq!(run("buffer_sealed", &format!("7; '\\x0102'; {}; '{{{ids}}}'", time(2))), "t|t");
    run("epoch_advanced", &format!("7; 'MATCHING'; {}; NULL; NULL", time(3)));
    let parties = [50, 13, 11, 1, 2].map(id);
    let head = format!("{}; 7; 'BTC/USDT'; {}", parties[0], parties[1..].join("; "));
    let users = format!("'{{{BUYER},{BUYER},{SELLER},{SELLER}}}'");
    let moves = "'{USDT,BTC,USDT,BTC}'; '{1.5,1.5,150,0}'; '{-151.5,0,0,-1.5}'";
    run("trade_executed", &format!("{head}; 100; 1.5; 150; 'BUY'; '\\x6d'; {}; {users}; {moves}", time(4)));
    run("epoch_advanced", &format!("7; 'SETTLED'; {}; '\\x09'; 1", time(5)));
    assert_eq!(run("order_cancelled", &format!("{}; {}; 'BTC'; 0.5", id(12), time(6))), "t|t");

    assert_eq!(all_rows(&rust), all_rows(&psql));
    let held = psql.psql("SELECT asset, sum(available), sum(frozen) FROM openmatch.balances GROUP BY 1 ORDER BY 1");
    assert_eq!(held.unwrap(), "BTC|2.50000000|0.50000000\nUSDT|1000.00000001|0.00000000", "nothing is made or lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_openmatch_events_changes_nothing() {
    let database = engine_database("openmatch").await;
    assert_eq!(write_all(&database).await, [true; 12]);
    let before = all_rows(&database);
    assert_eq!(write_all(&database).await, [false; 12]);
    assert_eq!(all_rows(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_funds_and_a_trade_of_a_closed_order_are_refused_whole() {
    let database = engine_database("openmatch").await;
    let writer = Writer::new(store(&database));
    let [order, ..] = orders();
    assert!(matches!(writer.order_received(&order).await, Err(Error::Conflict { .. })));
    write_all(&database).await;
    let before = all_rows(&database);
    let again = Trade { id: Uuid::from_u128(51), ..trade() };
    assert!(matches!(writer.trade_executed(&again).await, Err(Error::Conflict { .. })), "the buyer's order is filled");
    assert_eq!(all_rows(&database), before);
}
