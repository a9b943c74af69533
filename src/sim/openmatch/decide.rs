//! What openmatch does next.

use jiff::Timestamp;
use uuid::Uuid;

use super::{BALANCES, Event, MARKETS, NAMESPACE, NODE, ORDERS, Openmatch, QUOTE, TRADES, is_open};
use crate::engines::Side;
use crate::engines::openmatch::{BalanceChange, Epoch, Escrow, Money, Order, Phase, Seal, Status, Trade, Transfer};
use crate::sim::actor::Moment;
use crate::sim::{Dice, Image, column, units};

/// Orders that an epoch collects before it is sealed.
const BATCH_ORDERS: usize = 12;

/// Resting orders; beyond it one is cancelled before the next arrives.
const OPEN_MAX: usize = 120;

/// Units of 10^-8 in one.
const ONE: i128 = 100_000_000;

/// What everybody is given of each asset, in whole units.
const GIFT: [(&str, i128); 3] = [(QUOTE, 10_000_000), ("BTC", 1_000), ("ETH", 20_000)];

/// An open order's numbers, in units of 10^-8.
struct Open<'a> {
    row: &'a Image,
    id: Uuid,
    user: &'a str,
    price: Money,
    remaining: Money,
    arrived: (&'a str, i128),
}

pub(super) fn decide(exchange: &Openmatch, moment: Moment, dice: &mut Dice) -> Event {
    let at = Timestamp::from_microsecond(moment.time_us).expect("simulated time is within jiff's years");
    if let Some(gift) = gift(exchange, moment, at) {
        return gift;
    }
    let Some(epoch) = exchange.epoch() else { return advance(exchange.first_epoch, Phase::Collecting, at, None) };
    let epoch_id: i64 = column(epoch, "epoch_id").parse().expect("a number of ours");
    match column(epoch, "phase") {
        "COLLECTING" => collect(exchange, epoch_id, moment, at, dice),
        "SEALED" => advance(epoch_id, Phase::Matching, at, None),
        "MATCHING" => find_trade(exchange, epoch_id, moment, at).unwrap_or_else(|| {
            let trades = exchange.world.rows(TRADES).count();
            advance(epoch_id, Phase::Settled, at, Some(i32::try_from(trades).expect("a batch is small")))
        }),
        _ => advance(epoch_id + 1, Phase::Collecting, at, None),
    }
}

fn id(moment: Moment, what: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{:x}:{what}:{}", moment.seed, moment.number).as_bytes())
}

fn advance(epoch_id: i64, phase: Phase, at: Timestamp, trades: Option<i32>) -> Event {
    let hash = |trades| format!("{epoch_id}:{trades}").into_bytes();
    Event::Advance(Epoch { epoch_id, phase, at, result_hash: trades.map(hash), trade_count: trades })
}

/// The next balance that somebody does not have yet.
fn gift(exchange: &Openmatch, moment: Moment, at: Timestamp) -> Option<Event> {
    for user in &exchange.users {
        for (asset, whole) in GIFT {
            if exchange.world.get(BALANCES, &[("user_id", &user.to_string()), ("asset", asset)]).is_none() {
                let available = Money::from_units(whole * ONE).expect("a small gift");
                let transfer = Transfer { user_id: *user, asset: asset.to_owned(), available, frozen: Money::ZERO };
                return Some(Event::Balance(BalanceChange { event_id: id(moment, "gift"), transfer, at }));
            }
        }
    }
    None
}

fn collect(exchange: &Openmatch, epoch_id: i64, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let orders: Vec<&Image> = exchange.world.rows(ORDERS).collect();
    let mut unsealed: Vec<&Image> = orders.iter().copied().filter(|order| order["batch_id"].is_none()).collect();
    if unsealed.len() >= BATCH_ORDERS {
        unsealed.sort_by_key(|order| units(column(order, "sequence"), 0));
        let orders: Vec<Uuid> = unsealed.iter().map(|order| uuid(order, "id")).collect();
        let batch_hash = orders.iter().fold(Uuid::nil(), |hash, id| Uuid::new_v5(&hash, id.as_bytes()));
        return Event::Seal(Seal { epoch_id, batch_hash: batch_hash.as_bytes().to_vec(), sealed_at: at, orders });
    }
    if orders.len() >= OPEN_MAX || (!orders.is_empty() && dice.chance(10)) {
        return cancel(dice.pick::<&Image>(&orders), at);
    }
    receive(exchange, moment, at, dice)
}

fn receive(exchange: &Openmatch, moment: Moment, at: Timestamp, dice: &mut Dice) -> Event {
    let (market, base, start) = *dice.pick(&MARKETS);
    let user_id = *dice.pick(&exchange.users);
    let side = if dice.chance(50) { Side::Buy } else { Side::Sell };
    // Within half a percent of the start price, in cents; quantities in thousandths: products have 5 decimals.
    let cents = i128::from(start * 100 + dice.between(-start / 2, start / 2));
    let price = Money::from_units(cents * ONE / 100).expect("a small price");
    let quantity = Money::from_units(i128::from(dice.between(1, 2_000)) * ONE / 1_000).expect("a small quantity");
    let escrow = match side {
        Side::Buy => Escrow { asset: QUOTE.into(), amount: price.times(quantity).expect("a small product") },
        Side::Sell => Escrow { asset: base.into(), amount: quantity },
    };
    let user = user_id.to_string();
    let held = exchange.world.get(BALANCES, &[("user_id", user.as_str()), ("asset", escrow.asset.as_str())]);
    let available = held.map_or(0, |row| units(column(row, "available"), 8));
    if available < escrow.amount.units() {
        let more = Money::from_units(escrow.amount.units() * 100).expect("a small escrow");
        let transfer = Transfer { user_id, asset: escrow.asset, available: more, frozen: Money::ZERO };
        return Event::Balance(BalanceChange { event_id: id(moment, "gift"), transfer, at });
    }
    Event::Receive(Box::new(Order {
        id: id(moment, "order"),
        user_id,
        market: market.to_owned(),
        side,
        order_type: "LIMIT".into(),
        status: Status::Active,
        price: Some(price),
        quantity,
        sequence: i64::try_from(moment.number).expect("few events"),
        origin_node: NODE.to_vec(),
        created_at: at,
        escrow: Some(escrow),
    }))
}

fn cancel(order: &Image, at: Timestamp) -> Event {
    let (price, remaining) = (money(order, "price"), money(order, "remaining_qty"));
    let base = column(order, "market").split('/').next().unwrap_or_default();
    let release = if column(order, "side") == Side::Buy.upper() {
        Escrow { asset: QUOTE.into(), amount: price.times(remaining).expect("it was frozen") }
    } else {
        Escrow { asset: base.to_owned(), amount: remaining }
    };
    Event::Cancel { id: uuid(order, "id"), at, release }
}

/// The next trade of the sealed batch: best bid against best ask of a market that crosses, price then arrival.
fn find_trade(exchange: &Openmatch, batch_id: i64, moment: Moment, at: Timestamp) -> Option<Event> {
    for (market, base, _) in MARKETS {
        let side = |side: Side| {
            let rows = exchange.world.rows(ORDERS).filter(move |row| {
                column(row, "market") == market && column(row, "side") == side.upper() && is_open(row)
            });
            rows.filter(|row| row["batch_id"].is_some()).map(open)
        };
        let bid = side(Side::Buy).min_by_key(|order| (-order.price, order.arrived, order.id));
        let ask = side(Side::Sell).min_by_key(|order| (order.price, order.arrived, order.id));
        let (Some(bid), Some(ask)) = (bid, ask) else { continue };
        if bid.price < ask.price {
            continue;
        }
        let taker_side = if bid.arrived > ask.arrived { Side::Buy } else { Side::Sell };
        let (taker, maker) = if taker_side == Side::Buy { (&bid, &ask) } else { (&ask, &bid) };
        if taker.user == maker.user {
            return Some(cancel(taker.row, at)); // Nobody trades with himself.
        }
        let quantity = bid.remaining.min(ask.remaining);
        let quote_amount = maker.price.times(quantity).expect("a small product");
        return Some(Event::Execute(Box::new(Trade {
            id: id(moment, "trade"),
            batch_id,
            market: market.to_owned(),
            taker_order_id: taker.id,
            maker_order_id: maker.id,
            taker_user_id: uuid(taker.row, "user_id"),
            maker_user_id: uuid(maker.row, "user_id"),
            price: maker.price,
            quantity,
            quote_amount,
            taker_side,
            matcher_node: NODE.to_vec(),
            executed_at: at,
            transfers: transfers(base, &bid, &ask, quantity, quote_amount),
        })));
    }
    None
}

/// The buyer's frozen quote goes to the seller, what it saves against its limit comes back; the seller's frozen base goes
/// to the buyer.
fn transfers(base: &str, bid: &Open, ask: &Open, quantity: Money, quote_amount: Money) -> Vec<Transfer> {
    let (buyer, seller) = (uuid(bid.row, "user_id"), uuid(ask.row, "user_id"));
    let frozen = bid.price.times(quantity).expect("it was frozen");
    let transfer =
        |user_id, asset: &str, available, frozen| Transfer { user_id, asset: asset.to_owned(), available, frozen };
    vec![
        transfer(buyer, QUOTE, frozen - quote_amount, -frozen),
        transfer(buyer, base, quantity, Money::ZERO),
        transfer(seller, QUOTE, quote_amount, Money::ZERO),
        transfer(seller, base, Money::ZERO, -quantity),
    ]
}

fn open(row: &Image) -> Open<'_> {
    Open {
        row,
        id: uuid(row, "id"),
        user: column(row, "user_id"),
        price: money(row, "price"),
        remaining: money(row, "remaining_qty"),
        arrived: (column(row, "created_at"), units(column(row, "sequence"), 0)),
    }
}

fn money(row: &Image, name: &str) -> Money {
    Money::from_units(units(column(row, name), 8)).expect("it was in the column")
}

fn uuid(row: &Image, name: &str) -> Uuid {
    column(row, name).parse().expect("an id of ours")
}
