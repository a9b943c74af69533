//! What meltica does next.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    EXECUTIONS, Event, INSTRUMENTS, Meltica, NAMESPACE, ORDERS, PROVIDERS, PROVIDERS_TABLE, ROUTES, STRATEGIES,
    STRATEGIES_TABLE,
};
use crate::engines::Side;
use crate::engines::meltica::{Amount, Balance, Execution, Order, OrderState, Provider, Route, StateChange, Strategy};
use crate::sim::actor::Moment;
use crate::sim::{Dice, Image, column, fixed, units};

/// Orders under way; beyond it none is placed.
const OPEN_MAX: usize = 60;

/// Every so many events a balance is noted, a route changed, a provider changed.
const BALANCE_EVERY: u64 = 40;
const ROUTE_EVERY: u64 = 150;
const PROVIDER_EVERY: u64 = 400;

/// Decimals of prices, quantities, and of everything the column keeps.
const PRICE_SCALE: usize = 2;
const QTY_SCALE: usize = 3;
const COLUMN_SCALE: usize = 16;

pub(super) fn decide(meltica: &Meltica, moment: Moment, dice: &mut Dice) -> Event {
    let at = Timestamp::from_microsecond(moment.time_us).expect("simulated time is within jiff's years");
    if let Some(event) = set_up(meltica, moment, at) {
        return event;
    }
    let providers = meltica.provider_ids();
    let provider_id = *dice.pick(&providers);
    match moment.number {
        n if n % PROVIDER_EVERY == 17 => return provider(meltica, dice.pick::<&str>(&PROVIDERS), moment, at),
        n if n % ROUTE_EVERY == 23 => return change_route(meltica, moment, at, dice),
        n if n % BALANCE_EVERY == 11 => return balance(provider_id, at, dice),
        _ => {}
    }
    let open: Vec<&Image> = meltica.world.rows(ORDERS).collect();
    if !open.is_empty() && (open.len() >= OPEN_MAX || dice.chance(70)) {
        return progress(meltica, dice.pick::<&Image>(&open), moment, at, dice);
    }
    place(meltica, provider_id, moment, at, dice)
}

fn id(moment: Moment, what: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{:x}:{what}:{}", moment.seed, moment.number).as_bytes())
}

fn amount(units: i128, scale: usize) -> Amount {
    let text: crate::engines::Amount = fixed(units, scale).parse().expect("fixed makes amounts");
    text.try_into().expect("a small amount")
}

/// The first thing that is not there yet.
fn set_up(meltica: &Meltica, moment: Moment, at: Timestamp) -> Option<Event> {
    let world = &meltica.world;
    for name in PROVIDERS {
        if world.get(PROVIDERS_TABLE, &[("alias", &meltica.alias(name))]).is_none() {
            return Some(provider(meltica, name, moment, at));
        }
    }
    for name in STRATEGIES {
        let identifier = meltica.alias(name);
        if world.get(STRATEGIES_TABLE, &[("strategy_identifier", &identifier), ("version", "1.0.0")]).is_none() {
            return Some(strategy(identifier, moment, at));
        }
    }
    for provider_id in meltica.provider_ids() {
        for (symbol, _) in INSTRUMENTS {
            let key = [("provider_id", provider_id.to_string()), ("symbol", symbol.to_owned())];
            if world.get(ROUTES, &[(key[0].0, &key[0].1), (key[1].0, &key[1].1)]).is_none() {
                return Some(route(meltica, provider_id, symbol, 0, moment, at));
            }
        }
    }
    None
}

fn provider(meltica: &Meltica, name: &str, moment: Moment, at: Timestamp) -> Event {
    Event::Provider(Provider {
        alias: meltica.alias(name),
        display_name: format!("{name} spot"),
        adapter_identifier: name.to_owned(),
        connection: json!({"host": format!("api.{name}.example"), "pool": 4}),
        status: if moment.number.is_multiple_of(3) { "degraded".into() } else { "active".into() },
        metadata: json!({"change": moment.number}),
        updated_at: at,
    })
}

fn strategy(strategy_identifier: String, moment: Moment, at: Timestamp) -> Event {
    Event::Strategy(Strategy {
        id: id(moment, "strategy"),
        strategy_identifier,
        version: "1.0.0".into(),
        status: "running".into(),
        config_hash: format!("{:016x}", moment.seed),
        description: String::new(),
        metadata: json!({}),
        updated_at: at,
    })
}

fn route(meltica: &Meltica, provider_id: i64, symbol: &str, version: i32, moment: Moment, at: Timestamp) -> Event {
    Event::Route(Route {
        provider_id,
        symbol: symbol.to_owned(),
        version,
        route: json!({"venue_symbol": symbol.replace('-', ""), "depth": 20}),
        metadata: json!({"change": moment.number, "of": meltica.alias("route")}),
        updated_at: at,
    })
}

fn change_route(meltica: &Meltica, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let routes: Vec<&Image> = meltica.world.rows(ROUTES).collect();
    let row = dice.pick::<&Image>(&routes);
    let number = |name: &str| column(row, name).parse::<i64>().expect("a number");
    let version = i32::try_from(number("version")).expect("few versions");
    route(meltica, number("provider_id"), column(row, "symbol"), version, moment, at)
}

fn balance(provider_id: i64, at: Timestamp, dice: &mut Dice) -> Event {
    let asset = *dice.pick(&["BTC", "ETH", "SOL", "USDT"]);
    let total = i128::from(dice.between(1_000, 1_000_000_000));
    let available = i128::from(dice.between(0, 1_000));
    Event::Balance(Balance {
        provider_id,
        asset: asset.to_owned(),
        total: amount(total, 8),
        available: amount(available, 8),
        snapshot_at: at,
        metadata: json!({}),
        payload: json!({"asset": asset, "total": fixed(total, 8)}),
    })
}

fn place(meltica: &Meltica, provider_id: i64, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let (instrument, cents) = *dice.pick(&INSTRUMENTS);
    let strategies: Vec<&Image> = meltica.world.rows(STRATEGIES_TABLE).collect();
    let strategy = dice.pick::<&Image>(&strategies);
    let side = if dice.chance(50) { Side::Buy } else { Side::Sell };
    // Buyers below the middle, sellers above it: a resting order never crosses another of ours.
    let away = dice.between(1, 50) * cents / 10_000;
    let price = if side == Side::Buy { cents - away } else { cents + away };
    let order_id = id(moment, "order");
    Event::Place(Box::new(Order {
        id: order_id,
        provider_id,
        strategy_instance_id: dice.chance(80).then(|| column(strategy, "id").parse().expect("an id of ours")),
        client_order_id: format!("{}-{:x}", moment.number, moment.seed),
        instrument: instrument.to_owned(),
        side,
        order_type: "limit".into(),
        quantity: amount(i128::from(dice.between(1, 3_000)), QTY_SCALE),
        price: Some(amount(i128::from(price), PRICE_SCALE)),
        placed_at: at,
        metadata: json!({}),
        payload: json!({"order_id": order_id, "instrument": instrument, "side": side}),
    }))
}

/// The next thing that happens to an order.
fn progress(meltica: &Meltica, order: &Image, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let placed = column(order, "state") == OrderState::Placed.text();
    match (placed, dice.chance(if placed { 92 } else { 82 })) {
        (true, true) => {
            let reference = Some(format!("V{:x}-{}", moment.seed, moment.number));
            state(order, vec![OrderState::Placed], OrderState::Acknowledged, reference, at)
        }
        (true, false) => state(order, vec![OrderState::Placed], OrderState::Rejected, None, at),
        (false, true) => execution(meltica, order, moment, at, dice),
        (false, false) => {
            let from = vec![OrderState::Acknowledged, OrderState::PartiallyFilled];
            state(order, from, OrderState::Cancelled, None, at)
        }
    }
}

fn state(
    order: &Image,
    from: Vec<OrderState>,
    to: OrderState,
    external_order_ref: Option<String>,
    at: Timestamp,
) -> Event {
    let id: Uuid = column(order, "id").parse().expect("an id of ours");
    let payload = json!({"order_id": id, "state": to});
    Event::State(StateChange { id, from, to, external_order_ref, at, payload })
}

fn execution(meltica: &Meltica, order: &Image, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let order_id = column(order, "id");
    let mine = meltica.world.rows(EXECUTIONS).filter(|row| column(row, "order_id") == order_id);
    let filled: i128 = mine.map(|row| units(column(row, "fill_quantity"), COLUMN_SCALE)).sum();
    let left =
        (units(column(order, "quantity"), COLUMN_SCALE) - filled) / 10_i128.pow((COLUMN_SCALE - QTY_SCALE) as u32);
    let most = i64::try_from(left).expect("a small order");
    let qty = if dice.chance(40) { left } else { i128::from(dice.between(1, most)) };
    let price = units(column(order, "price"), COLUMN_SCALE);
    let quote = column(order, "instrument").split('-').nth(1).unwrap_or_default();
    // A tenth of a percent, in the quote asset; now and then in an asset of its own, or unknown.
    let fee = price / 10_i128.pow((COLUMN_SCALE - PRICE_SCALE) as u32) * qty;
    let fee_asset = match dice.between(0, 9) {
        0 => None,
        1 => Some("BNB".to_owned()),
        _ => Some(quote.to_owned()),
    };
    let execution_id = format!("{:x}-x{}", moment.seed, moment.number);
    Event::Execution(Box::new(Execution {
        order_id: order_id.parse().expect("an id of ours"),
        provider_id: column(order, "provider_id").parse().expect("a number"),
        fill_quantity: amount(qty, QTY_SCALE),
        fill_price: amount(price, COLUMN_SCALE),
        fee: fee_asset.is_some().then(|| amount(fee, PRICE_SCALE + QTY_SCALE + 3)),
        fee_asset,
        liquidity: dice.chance(90).then(|| if dice.chance(50) { "maker".into() } else { "taker".into() }),
        traded_at: at,
        metadata: json!({}),
        state: if qty == left { OrderState::Filled } else { OrderState::PartiallyFilled },
        payload: json!({"order_id": order_id, "execution_id": execution_id.as_str()}),
        execution_id,
    }))
}
