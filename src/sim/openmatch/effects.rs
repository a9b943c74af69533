//! What openmatch's rows look like after an event.

use jiff::Timestamp;
use uuid::Uuid;

use super::{BALANCES, EPOCHS, Event, ORDERS, TRADES};
use crate::engines::openmatch::{Epoch, Escrow, Money, Order, Phase, Seal, Trade};
use crate::sim::actor::{Effect, Image, image};
use crate::sim::{World, column, text, timestamp_text, units};

pub(super) fn effects(world: &World, event: &Event) -> Vec<Effect> {
    match event {
        Event::Balance(change) => {
            let t = &change.transfer;
            vec![balance(world, t.user_id, &t.asset, t.available, t.frozen, change.at)]
        }
        Event::Receive(order) => receive(world, order),
        Event::Cancel { id, at, release } => cancel(world, *id, *at, release),
        Event::Seal(seal) => sealed(world, seal),
        Event::Execute(trade) => execute(world, trade),
        Event::Advance(epoch) => vec![advance(world, epoch)],
    }
}

fn time(at: Timestamp) -> Option<String> {
    Some(timestamp_text(at.as_microsecond()))
}

/// A `bytea` as Postgres prints it.
fn bytea(bytes: &[u8]) -> Option<String> {
    Some(bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

fn order_row<'a>(world: &'a World, id: &str) -> &'a Image {
    world.get(ORDERS, &[("id", id)]).expect("only open orders change")
}

fn balance(world: &World, user: Uuid, asset: &str, available: Money, frozen: Money, at: Timestamp) -> Effect {
    let user = user.to_string();
    let held = world.get(BALANCES, &[("user_id", user.as_str()), ("asset", asset)]);
    let plus = |name: &str, more: Money| {
        let units = held.map_or(0, |row| units(column(row, name), 8)) + more.units();
        Some(Money::from_units(units).expect("a small balance").to_string())
    };
    let after = image([
        ("user_id", text(&user)),
        ("asset", text(asset)),
        ("available", plus("available", available)),
        ("frozen", plus("frozen", frozen)),
        ("updated_at", time(at)),
    ]);
    Effect::row(BALANCES, &["user_id", "asset"], after)
}

fn receive(world: &World, order: &Order) -> Vec<Effect> {
    let row = image([
        ("id", text(order.id)),
        ("user_id", text(order.user_id)),
        ("market", text(&order.market)),
        ("side", text(order.side.upper())),
        ("order_type", text(&order.order_type)),
        ("status", text(order.status.text())),
        ("price", order.price.map(|price| price.to_string())),
        ("quantity", text(order.quantity)),
        ("remaining_qty", text(order.quantity)),
        ("batch_id", None),
        ("sequence", text(order.sequence)),
        ("origin_node", bytea(&order.origin_node)),
        ("created_at", time(order.created_at)),
        ("updated_at", time(order.created_at)),
    ]);
    let mut effects = vec![Effect::row(ORDERS, &["id"], row)];
    if let Some(Escrow { asset, amount }) = &order.escrow {
        effects.push(balance(world, order.user_id, asset, -*amount, *amount, order.created_at));
    }
    effects
}

fn cancel(world: &World, id: Uuid, at: Timestamp, release: &Escrow) -> Vec<Effect> {
    let mut row = order_row(world, &id.to_string()).clone();
    let user = column(&row, "user_id").parse().expect("an id of ours");
    row.insert("status".into(), text("CANCELLED"));
    row.insert("updated_at".into(), time(at));
    let released = balance(world, user, &release.asset, release.amount, -release.amount, at);
    vec![Effect::row(ORDERS, &["id"], row), released]
}

fn sealed(world: &World, seal: &Seal) -> Vec<Effect> {
    let epoch = seal.epoch_id.to_string();
    let mut row = world.get(EPOCHS, &[("epoch_id", epoch.as_str())]).expect("the epoch collects").clone();
    row.insert("phase".into(), text("SEALED"));
    row.insert("batch_hash".into(), bytea(&seal.batch_hash));
    let mut effects = vec![Effect::row(EPOCHS, &["epoch_id"], row)];
    for (place, id) in seal.orders.iter().enumerate() {
        let mut row = order_row(world, &id.to_string()).clone();
        row.insert("batch_id".into(), text(seal.epoch_id));
        row.insert("sequence".into(), text(place + 1));
        row.insert("updated_at".into(), time(seal.sealed_at));
        effects.push(Effect::row(ORDERS, &["id"], row));
    }
    effects
}

fn execute(world: &World, trade: &Trade) -> Vec<Effect> {
    let row = image([
        ("id", text(trade.id)),
        ("batch_id", text(trade.batch_id)),
        ("market", text(&trade.market)),
        ("taker_order_id", text(trade.taker_order_id)),
        ("maker_order_id", text(trade.maker_order_id)),
        ("taker_user_id", text(trade.taker_user_id)),
        ("maker_user_id", text(trade.maker_user_id)),
        ("price", text(trade.price)),
        ("quantity", text(trade.quantity)),
        ("quote_amount", text(trade.quote_amount)),
        ("taker_side", text(trade.taker_side.upper())),
        ("matcher_node", bytea(&trade.matcher_node)),
        ("executed_at", time(trade.executed_at)),
    ]);
    let mut effects = vec![Effect::row(TRADES, &["id"], row)];
    for id in [trade.taker_order_id, trade.maker_order_id] {
        let mut row = order_row(world, &id.to_string()).clone();
        let left = units(column(&row, "remaining_qty"), 8) - trade.quantity.units();
        row.insert("remaining_qty".into(), Money::from_units(left).map(|left| left.to_string()));
        row.insert("status".into(), text(if left == 0 { "FILLED" } else { "PARTIALLY_FILLED" }));
        row.insert("updated_at".into(), time(trade.executed_at));
        effects.push(Effect::row(ORDERS, &["id"], row));
    }
    for t in &trade.transfers {
        effects.push(balance(world, t.user_id, &t.asset, t.available, t.frozen, trade.executed_at));
    }
    effects
}

fn advance(world: &World, epoch: &Epoch) -> Effect {
    let id = epoch.epoch_id.to_string();
    let fresh = || {
        image([
            ("epoch_id", text(&id)),
            ("phase", None),
            ("batch_hash", None),
            ("result_hash", None),
            ("trade_count", text(0)),
            ("started_at", time(epoch.at)),
            ("completed_at", None),
        ])
    };
    let mut row = world.get(EPOCHS, &[("epoch_id", id.as_str())]).cloned().unwrap_or_else(fresh);
    row.insert("phase".into(), text(epoch.phase.text()));
    if let Some(hash) = &epoch.result_hash {
        row.insert("result_hash".into(), bytea(hash));
    }
    if let Some(count) = epoch.trade_count {
        row.insert("trade_count".into(), text(count));
    }
    if epoch.phase == Phase::Settled {
        row.insert("completed_at".into(), time(epoch.at));
    }
    Effect::row(EPOCHS, &["epoch_id"], row)
}
