//! What perplex's rows look like after an event.

use super::{BALANCES, Event, ORDERS, POSITIONS, QTY_SCALE, USDC_SCALE};
use crate::engines::Amount;
use crate::engines::perplex::{Deposit, Funding, Leg, Order, Position, Trade};
use crate::sim::actor::{Effect, Image, image};
use crate::sim::{World, column, fixed, text, units};

pub(super) fn effects(world: &World, event: &Event) -> Vec<Effect> {
    match event {
        Event::Deposit(Deposit { address, amount_usdc, .. }) => vec![balance(world, address, amount_usdc)],
        Event::Place(order) => vec![Effect::row(ORDERS, &["id"], order_image(order))],
        Event::Cancel { id } => vec![Effect::gone(ORDERS, &[("id", id)])],
        Event::Match(trade) => match_effects(world, trade),
        Event::Funding(funding) => funding_effects(world, funding),
    }
}

fn balance(world: &World, address: &str, delta: &Amount) -> Effect {
    let held = world.get(BALANCES, &[("address", address)]).map_or(0, |row| units(column(row, "amount"), USDC_SCALE));
    let amount = fixed(held + units(delta.as_str(), USDC_SCALE), USDC_SCALE);
    Effect::row(BALANCES, &["address"], image([("address", text(address)), ("amount", Some(amount))]))
}

fn order_image(order: &Order) -> Image {
    image([
        ("id", text(&order.id)),
        ("address", text(&order.address)),
        ("market_id", text(&order.market_id)),
        ("side", text(order.side.lower())),
        ("order_type", text(&order.order_type)),
        ("price", text(&order.price)),
        ("qty", text(&order.qty)),
        ("remaining", text(&order.remaining)),
        ("ts_ns", text(order.ts_ns)),
        ("client_order_id", order.client_order_id.clone()),
    ])
}

fn match_effects(world: &World, trade: &Trade) -> Vec<Effect> {
    let public = image([
        ("id", text(&trade.id)),
        ("market_id", text(&trade.market_id)),
        ("price", text(&trade.price)),
        ("qty", text(&trade.qty)),
        ("side", text(trade.taker.side.lower())),
        ("ts_ns", text(trade.ts_ns)),
    ]);
    let mut effects = vec![Effect::row("perplex.public_trades", &["id"], public), maker_order(world, trade)];
    for (leg, role) in [(&trade.maker, "maker"), (&trade.taker, "taker")] {
        effects.push(Effect::row("perplex.fills", &["id"], fill_image(trade, leg, role)));
        effects.push(balance(world, &leg.address, &leg.delta_usdc));
    }
    effects.extend(trade.positions.iter().map(position));
    effects
}

/// The maker's order, lowered or gone.
fn maker_order(world: &World, trade: &Trade) -> Effect {
    let id = [("id", trade.maker.order_id.as_str())];
    let mut row = world.get(ORDERS, &id).expect("the maker rests").clone();
    let left = units(column(&row, "remaining"), QTY_SCALE) - units(trade.qty.as_str(), QTY_SCALE);
    if left == 0 {
        return Effect::gone(ORDERS, &id);
    }
    row.insert("remaining".into(), Some(fixed(left, QTY_SCALE)));
    Effect::row(ORDERS, &["id"], row)
}

fn fill_image(trade: &Trade, leg: &Leg, role: &str) -> Image {
    image([
        ("id", text(&leg.fill_id)),
        ("address", text(&leg.address)),
        ("order_id", text(&leg.order_id)),
        ("market_id", text(&trade.market_id)),
        ("side", text(leg.side.lower())),
        ("price", text(&trade.price)),
        ("qty", text(&trade.qty)),
        ("fee_usdc", text(&leg.fee_usdc)),
        ("role", text(role)),
        ("ts_ns", text(trade.ts_ns)),
        ("tx_hash", text(&trade.tx_hash)),
    ])
}

fn position(row: &Position) -> Effect {
    if units(row.size.as_str(), QTY_SCALE) == 0 {
        return Effect::gone(POSITIONS, &[("address", &row.address), ("market_id", &row.market_id)]);
    }
    let after = image([
        ("address", text(&row.address)),
        ("market_id", text(&row.market_id)),
        ("size", text(&row.size)),
        ("side", text(row.side.text())),
        ("entry_price_x18", text(&row.entry_price_x18)),
        ("mark_price_x18", text(&row.mark_price_x18)),
        ("notional_usdc", text(&row.notional_usdc)),
        ("unrealised_pnl_usdc", text(&row.unrealised_pnl_usdc)),
        ("realised_pnl_usdc", text(&row.realised_pnl_usdc)),
        ("leverage", text(&row.leverage)),
        ("liquidation_price_x18", text(&row.liquidation_price_x18)),
        ("funding_paid_usdc", text(&row.funding_paid_usdc)),
        ("last_updated_ts_ns", text(row.last_updated_ts_ns)),
    ]);
    Effect::row(POSITIONS, &["address", "market_id"], after)
}

fn funding_effects(world: &World, funding: &Funding) -> Vec<Effect> {
    let history = image([
        ("market_id", text(&funding.market_id)),
        ("ts_ns", text(funding.ts_ns)),
        ("rate_bps", text(funding.rate_bps)),
    ]);
    let mut effects = vec![Effect::row("perplex.funding_history", &["market_id", "ts_ns"], history)];
    for payment in &funding.payments {
        let paid = image([
            ("id", text(&payment.id)),
            ("address", text(&payment.address)),
            ("market_id", text(&funding.market_id)),
            ("ts_ns", text(funding.ts_ns)),
            ("amount_usdc", text(&payment.amount_usdc)),
        ]);
        effects.push(Effect::row("perplex.funding_payments", &["id"], paid));
        effects.push(balance(world, &payment.address, &payment.amount_usdc));
        let key = [("address", payment.address.as_str()), ("market_id", funding.market_id.as_str())];
        let mut row = world.get(POSITIONS, &key).expect("only open positions are funded").clone();
        let amount = units(payment.amount_usdc.as_str(), USDC_SCALE);
        let paid = units(column(&row, "funding_paid_usdc"), USDC_SCALE) - amount;
        row.insert("funding_paid_usdc".into(), Some(fixed(paid, USDC_SCALE)));
        row.insert("last_updated_ts_ns".into(), text(funding.ts_ns));
        effects.push(Effect::row(POSITIONS, &["address", "market_id"], row));
    }
    effects
}
