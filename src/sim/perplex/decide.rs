//! What perplex does next.

use uuid::Uuid;

use super::position::Holding;
use super::{BALANCES, Event, MARKETS, ORDERS, POSITIONS, PRICE_SCALE, Perplex, QTY_SCALE, USDC_SCALE};
use crate::engines::perplex::{Deposit, Funding, Leg, NAMESPACE, Order, Payment, Trade};
use crate::engines::{Amount, Side};
use crate::sim::actor::Moment;
use crate::sim::{Dice, Image, column, fixed, units};

/// Every so many events a market is funded.
const FUNDING_EVERY: u64 = 250;

/// Resting orders of a market; beyond it one is cancelled instead of placed.
const RESTING_MAX: usize = 40;

/// The price swings by a hundredth of itself within so many events.
const SWING_EVENTS: u64 = 2_000;

/// What everybody starts with.
const DEPOSIT_USDC: i128 = 1_000_000 * 10_i128.pow(USDC_SCALE as u32);

/// Fees as parts of ten thousand of the notional.
const MAKER_FEE_BPS: i128 = 1;
const TAKER_FEE_BPS: i128 = 5;

/// What a taker wants.
struct Wish<'a> {
    address: &'a str,
    market: &'static str,
    side: Side,
    price: i128,
    qty: i128,
}

pub(super) fn decide(perplex: &Perplex, moment: Moment, dice: &mut Dice) -> Event {
    let world = &perplex.world;
    let poor = perplex.accounts.iter().find(|a| world.get(BALANCES, &[("address", a.as_str())]).is_none());
    if let Some(address) = poor {
        return deposit(address, moment);
    }
    if moment.number % FUNDING_EVERY == FUNDING_EVERY - 1 {
        let round = moment.number / FUNDING_EVERY;
        return funding(perplex, MARKETS[usize::try_from(round).unwrap_or(0) % MARKETS.len()].0, moment, dice);
    }
    if dice.chance(2) {
        return deposit(dice.pick::<String>(&perplex.accounts), moment);
    }
    let (market, start) = *dice.pick(&MARKETS);
    let resting: Vec<&Image> = world.rows(ORDERS).filter(|order| column(order, "market_id") == market).collect();
    if resting.len() >= RESTING_MAX || (!resting.is_empty() && dice.chance(8)) {
        return Event::Cancel { id: column(dice.pick::<&Image>(&resting), "id").to_owned() };
    }
    let side = if dice.chance(50) { Side::Buy } else { Side::Sell };
    // Mostly a little worse than the middle, sometimes through it: both a book and trades come of it.
    let away = i128::from(dice.between(-10, 20)) * start / 10_000;
    let middle = middle(start, moment.number);
    let wish = Wish {
        address: dice.pick::<String>(&perplex.accounts),
        market,
        side,
        price: if side == Side::Buy { middle - away } else { middle + away },
        qty: i128::from(dice.between(1, 5_000)),
    };
    match best(&resting, side.other()) {
        Some(maker) if !crosses(&wish, maker) => rest(&wish, moment, dice),
        Some(maker) if column(maker, "address") == wish.address => {
            Event::Cancel { id: column(maker, "id").to_owned() } // Nobody trades with himself.
        }
        Some(maker) => trade(perplex, &wish, maker, moment),
        None => rest(&wish, moment, dice),
    }
}

/// A triangle around the start price: a function of the event's number alone, so that a restart goes on with it.
fn middle(start: i128, number: u64) -> i128 {
    let step = i128::from(number % SWING_EVENTS);
    let half = i128::from(SWING_EVENTS / 2);
    start + start / 100 * ((step - half).abs() - half / 2) / (half / 2)
}

/// The best resting order of a side: price, then time, then id.
fn best<'a>(resting: &[&'a Image], side: Side) -> Option<&'a Image> {
    let rank = |order: &Image| {
        let price = units(column(order, "price"), PRICE_SCALE);
        let worse = if side == Side::Buy { -price } else { price };
        (worse, units(column(order, "ts_ns"), 0), column(order, "id").to_owned())
    };
    resting.iter().copied().filter(|order| column(order, "side") == side.lower()).min_by_key(|order| rank(order))
}

fn crosses(wish: &Wish, maker: &Image) -> bool {
    let price = units(column(maker, "price"), PRICE_SCALE);
    match wish.side {
        Side::Buy => wish.price >= price,
        Side::Sell => wish.price <= price,
    }
}

fn id(moment: Moment, what: &str) -> String {
    format!("{:x}-{what}{}", moment.seed, moment.number)
}

fn amount(units: i128, scale: usize) -> Amount {
    fixed(units, scale).parse().expect("fixed makes amounts")
}

fn deposit(address: &str, moment: Moment) -> Event {
    let event_id = Uuid::new_v5(&NAMESPACE, format!("deposit:{}", id(moment, "d")).as_bytes());
    Event::Deposit(Deposit { event_id, address: address.to_owned(), amount_usdc: amount(DEPOSIT_USDC, USDC_SCALE) })
}

fn rest(wish: &Wish, moment: Moment, dice: &mut Dice) -> Event {
    let qty = amount(wish.qty, QTY_SCALE);
    Event::Place(Order {
        id: id(moment, "o"),
        address: wish.address.to_owned(),
        market_id: wish.market.to_owned(),
        side: wish.side,
        order_type: "limit".into(),
        price: amount(wish.price, PRICE_SCALE),
        qty: qty.clone(),
        remaining: qty,
        ts_ns: moment.time_us * 1_000,
        client_order_id: dice.chance(50).then(|| id(moment, "client-")),
    })
}

fn trade(perplex: &Perplex, wish: &Wish, maker: &Image, moment: Moment) -> Event {
    let price = units(column(maker, "price"), PRICE_SCALE);
    let qty = wish.qty.min(units(column(maker, "remaining"), QTY_SCALE));
    let notional = price * qty * 10_i128.pow((USDC_SCALE - PRICE_SCALE - QTY_SCALE) as u32);
    let ts_ns = moment.time_us * 1_000;
    let mut positions = Vec::new();
    let mut leg = |address: &str, order_id: String, fill: &str, side: Side, fee_bps: i128| {
        let row = perplex.world.get(POSITIONS, &[("address", address), ("market_id", wish.market)]);
        let mut holding = Holding::from_row(row);
        let realised = holding.fill(if side == Side::Buy { qty } else { -qty }, price);
        positions.push(holding.row(address, wish.market, price, ts_ns));
        let fee = notional * fee_bps / 10_000;
        Leg {
            order_id,
            address: address.to_owned(),
            fill_id: id(moment, fill),
            side,
            fee_usdc: amount(fee, USDC_SCALE),
            delta_usdc: amount(realised - fee, USDC_SCALE),
        }
    };
    let maker_id = column(maker, "id").to_owned();
    let maker = leg(column(maker, "address"), maker_id, "fm", wish.side.other(), MAKER_FEE_BPS);
    let taker = leg(wish.address, id(moment, "o"), "ft", wish.side, TAKER_FEE_BPS);
    Event::Match(Box::new(Trade {
        id: id(moment, "t"),
        market_id: wish.market.to_owned(),
        price: amount(price, PRICE_SCALE),
        qty: amount(qty, QTY_SCALE),
        ts_ns,
        tx_hash: format!("0x{:016x}{:016x}", moment.seed, moment.number),
        maker,
        taker,
        positions,
    }))
}

fn funding(perplex: &Perplex, market: &'static str, moment: Moment, dice: &mut Dice) -> Event {
    // Quarters of a basis point: a double holds them exactly.
    let quarters = dice.between(1, 40) * if dice.chance(50) { 1 } else { -1 };
    let open = perplex.world.rows(POSITIONS).filter(|row| column(row, "market_id") == market);
    let payment = |row: &Image| {
        let address = column(row, "address");
        let notional = units(column(row, "notional_usdc"), USDC_SCALE);
        let paid = notional * i128::from(quarters) / 40_000 * Holding::from_row(Some(row)).size.signum();
        Payment {
            id: format!("{}-{address}", id(moment, "p")),
            address: address.to_owned(),
            amount_usdc: amount(-paid, USDC_SCALE),
        }
    };
    Event::Funding(Funding {
        market_id: market.to_owned(),
        ts_ns: moment.time_us * 1_000,
        rate_bps: f64::from(i32::try_from(quarters).expect("at most 40")) / 4.0,
        payments: open.map(payment).collect(),
    })
}
