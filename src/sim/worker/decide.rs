//! What the bot does next: from its open orders, dice and moment alone.

use serde_json::json;

use super::{Event, Open, Worker, id, timestamp};
use crate::engines::Side;
use crate::engines::worker::{
    Audit, EventType, Fill, FillStatus, FundingPayment, FundingSnapshot, Kind, Order, Snapshot, Status, StatusChange,
};
use crate::sim::actor::Moment;
use crate::sim::dice::Dice;

/// Market, quote asset, and a price to start from in quote units.
const MARKETS: [(&str, &str, &str, i64); 4] = [
    ("kraken", "BTC-USD", "USD", 6_000_000),
    ("kraken", "ETH-USD", "USD", 300_000),
    ("binance", "BTC-USDT", "USDT", 6_001_000),
    ("binance", "ETH-USDT", "USDT", 300_100),
];

/// Orders that may be open before the bot only settles.
const OPEN_MAX: usize = 60;

pub(super) fn decide(bot: &Worker, moment: Moment, dice: &mut Dice) -> Event {
    let unheard = bot.open.values().find(|open| open.text("status") == "PENDING");
    let resting: Vec<&Open> = bot.open.values().filter(|open| open.text("status") != "PENDING").collect();
    match (unheard, dice.between(0, 99)) {
        (_, 0..10) => Event::Audit(audit(moment, dice)),
        (_, 10..18) => Event::Funding(funding(moment, dice)),
        (_, 18..20) => Event::Payment(payment(moment, dice)),
        (_, 20..22) => Event::Reconcile(reconciliation(bot, moment)),
        (Some(order), 22..60) => Event::Status(first_word(order, moment, dice)),
        (None, 22..60) | (_, 60..75) if !resting.is_empty() => {
            fill_or_cancel(resting[dice.index(resting.len())], moment, dice)
        }
        (_, _) if resting.len() > OPEN_MAX => fill_or_cancel(resting[dice.index(resting.len())], moment, dice),
        (_, _) => place(bot, moment, dice),
    }
}

fn place(bot: &Worker, moment: Moment, dice: &mut Dice) -> Event {
    let (exchange, symbol, _, middle) = *dice.pick(&MARKETS);
    let side = *dice.pick(&[Side::Buy, Side::Sell]);
    let kind = *dice.pick(&[Kind::Limit, Kind::Limit, Kind::Limit, Kind::Limit, Kind::Ioc, Kind::Fok, Kind::Market]);
    // Bids below the middle, asks above it: a book of resting orders is not crossed.
    let distance = dice.between(1, middle / 100);
    let price = match side {
        Side::Buy => middle - distance,
        Side::Sell => middle + distance,
    };
    let order = Order {
        id: id(moment, "order"),
        idempotency_key: format!("{}{:012}", bot.tag, moment.number),
        exchange: exchange.into(),
        symbol: symbol.into(),
        side,
        kind,
        quantity_base: dice.between(1, 1_000_000),
        price_quote: (kind != Kind::Market).then_some(price),
        placed_at: timestamp(moment.time_us),
    };
    if dice.chance(10) { Event::PlaceTwice(order, id(moment, "another")) } else { Event::Place(order) }
}

/// What an exchange says first.
fn first_word(order: &Open, moment: Moment, dice: &mut Dice) -> StatusChange {
    let rejected = dice.chance(5);
    StatusChange {
        order_id: order.id(),
        status: if rejected { Status::Rejected } else { Status::Open },
        exchange_order_id: (!rejected).then(|| format!("x-{:x}-{}", moment.seed, moment.number)),
        said_at: timestamp(moment.time_us),
    }
}

fn fill_or_cancel(order: &Open, moment: Moment, dice: &mut Dice) -> Event {
    if dice.chance(15) {
        return Event::Status(StatusChange {
            order_id: order.id(),
            status: Status::Cancelled,
            exchange_order_id: None,
            said_at: timestamp(moment.time_us),
        });
    }
    let left = order.number("quantity_base") - order.filled;
    let quantity = if dice.chance(50) { left } else { dice.between(1, left) };
    let market = MARKETS.iter().find(|m| m.0 == order.text("exchange") && m.1 == order.text("symbol"));
    let (_, _, asset, middle) = *market.expect("the bot trades on its markets");
    let fill = Fill {
        id: id(moment, "fill"),
        order_id: order.id(),
        exchange_fill_id: format!("f-{:x}-{}", moment.seed, moment.number),
        price_quote: order.row["price_quote"].as_ref().map_or(middle, |_| order.number("price_quote")),
        quantity_base: quantity,
        fee_quote: dice.between(-5, 500),
        fee_asset: if dice.chance(90) { asset.into() } else { "FEE".into() },
        filled_at: timestamp(moment.time_us),
        status: if quantity == left { FillStatus::Filled } else { FillStatus::PartiallyFilled },
    };
    if dice.chance(5) { Event::FillTwice(fill, id(moment, "another")) } else { Event::Fill(fill) }
}

fn audit(moment: Moment, dice: &mut Dice) -> Audit {
    let kinds = [EventType::Decision, EventType::Error, EventType::StateTransition, EventType::Reconciliation];
    Audit {
        id: id(moment, "audit"),
        event_type: *dice.pick(&kinds),
        event_data: json!({"event": moment.number, "why": null, "seen": [dice.between(0, 9), "é\"'\\"]}),
        created_at: timestamp(moment.time_us),
    }
}

fn funding(moment: Moment, dice: &mut Dice) -> FundingSnapshot {
    let (exchange, symbol, _, middle) = *dice.pick(&MARKETS);
    FundingSnapshot {
        id: id(moment, "funding"),
        exchange: exchange.into(),
        symbol: symbol.into(),
        funding_rate_bps: dice.between(-30, 30),
        mark_price_quote: middle + dice.between(-100, 100),
        index_price_quote: middle,
        snapshot_at: timestamp(moment.time_us),
    }
}

fn payment(moment: Moment, dice: &mut Dice) -> FundingPayment {
    let (exchange, symbol, asset, _) = *dice.pick(&MARKETS);
    FundingPayment {
        id: id(moment, "payment"),
        exchange: exchange.into(),
        symbol: symbol.into(),
        asset: asset.into(),
        amount_quote: dice.between(-10_000, 10_000),
        paid_at: timestamp(moment.time_us),
    }
}

fn reconciliation(bot: &Worker, moment: Moment) -> Snapshot {
    let open: Vec<String> = bot.open.keys().cloned().collect();
    Snapshot {
        id: id(moment, "snapshot"),
        snapshot: json!({"balances": {}, "positions": [], "open_orders": open}),
        reconciled_at: timestamp(moment.time_us),
    }
}
