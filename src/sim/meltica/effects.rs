//! What meltica's rows look like after an event.

use jiff::Timestamp;
use serde_json::Value;

use super::{BALANCES, EXECUTIONS, Event, ORDERS, OUTBOX, PROVIDERS_TABLE, ROUTES, STRATEGIES_TABLE};
use crate::engines::meltica::{Amount, Balance, Execution, Order, OrderState, Provider, Route, StateChange, Strategy};
use crate::sim::actor::{Effect, Image, image};
use crate::sim::{World, jsonb_text, text, timestamp_text};

pub(super) fn effects(world: &World, event: &Event) -> Vec<Effect> {
    match event {
        Event::Provider(provider) => vec![provider_effect(world, provider)],
        Event::Strategy(strategy) => vec![strategy_effect(strategy)],
        Event::Route(route) => vec![route_effect(world, route)],
        Event::Place(order) => {
            let told = outbox("order", order.id.to_string(), "order.placed", &order.payload, order.placed_at);
            vec![Effect::row(ORDERS, &["id"], order_image(order)), told]
        }
        Event::State(change) => state_effects(world, change),
        Event::Execution(execution) => execution_effects(world, execution),
        Event::Balance(balance) => balance_effects(balance),
    }
}

fn time(at: Timestamp) -> Option<String> {
    Some(timestamp_text(at.as_microsecond()))
}

fn jsonb(value: &Value) -> Option<String> {
    Some(jsonb_text(value))
}

fn numeric(amount: &Amount) -> Option<String> {
    Some(amount.column_text())
}

/// The row as it is, or a new one, with these columns set.
fn with<const N: usize>(row: Option<&Image>, columns: [(&str, Option<String>); N]) -> Image {
    let mut row = row.cloned().unwrap_or_default();
    row.extend(image(columns));
    row
}

fn outbox(aggregate: &str, id: String, event: &str, payload: &Value, at: Timestamp) -> Effect {
    let row = image([
        ("aggregate_type", text(aggregate)),
        ("aggregate_id", Some(id)),
        ("event_type", text(event)),
        ("payload", jsonb(payload)),
        ("headers", text("{}")),
        ("available_at", time(at)),
        ("created_at", time(at)),
    ]);
    Effect::row(OUTBOX, &["aggregate_id", "event_type", "created_at"], row)
}

fn provider_effect(world: &World, provider: &Provider) -> Effect {
    let held = world.get(PROVIDERS_TABLE, &[("alias", &provider.alias)]);
    let created = held.map_or_else(|| time(provider.updated_at), |row| row["created_at"].clone());
    let row = with(
        held,
        [
            ("alias", text(&provider.alias)),
            ("display_name", text(&provider.display_name)),
            ("adapter_identifier", text(&provider.adapter_identifier)),
            ("connection", jsonb(&provider.connection)),
            ("status", text(&provider.status)),
            ("metadata", jsonb(&provider.metadata)),
            ("created_at", created),
            ("updated_at", time(provider.updated_at)),
        ],
    );
    Effect::row(PROVIDERS_TABLE, &["alias"], row)
}

fn strategy_effect(strategy: &Strategy) -> Effect {
    let row = image([
        ("id", text(strategy.id)),
        ("strategy_identifier", text(&strategy.strategy_identifier)),
        ("version", text(&strategy.version)),
        ("status", text(&strategy.status)),
        ("config_hash", text(&strategy.config_hash)),
        ("description", text(&strategy.description)),
        ("metadata", jsonb(&strategy.metadata)),
        ("created_at", time(strategy.updated_at)),
        ("updated_at", time(strategy.updated_at)),
    ]);
    Effect::row(STRATEGIES_TABLE, &["strategy_identifier", "version"], row)
}

fn route_effect(world: &World, route: &Route) -> Effect {
    let provider = route.provider_id.to_string();
    let held = world.get(ROUTES, &[("provider_id", &provider), ("symbol", &route.symbol)]);
    let created = held.map_or_else(|| time(route.updated_at), |row| row["created_at"].clone());
    let row = with(
        held,
        [
            ("provider_id", text(&provider)),
            ("symbol", text(&route.symbol)),
            ("route", jsonb(&route.route)),
            ("version", text(route.version + 1)),
            ("metadata", jsonb(&route.metadata)),
            ("created_at", created),
            ("updated_at", time(route.updated_at)),
        ],
    );
    Effect::row(ROUTES, &["provider_id", "symbol"], row)
}

fn order_image(order: &Order) -> Image {
    image([
        ("id", text(order.id)),
        ("provider_id", text(order.provider_id)),
        ("strategy_instance_id", order.strategy_instance_id.map(|id| id.to_string())),
        ("client_order_id", text(&order.client_order_id)),
        ("instrument", text(&order.instrument)),
        ("side", text(order.side.lower())),
        ("order_type", text(&order.order_type)),
        ("quantity", numeric(&order.quantity)),
        ("price", order.price.as_ref().and_then(numeric)),
        ("state", text(OrderState::Placed.text())),
        ("external_order_ref", None),
        ("placed_at", time(order.placed_at)),
        ("acknowledged_at", None),
        ("completed_at", None),
        ("metadata", jsonb(&order.metadata)),
        ("created_at", time(order.placed_at)),
        ("updated_at", time(order.placed_at)),
    ])
}

fn state_effects(world: &World, change: &StateChange) -> Vec<Effect> {
    let id = change.id.to_string();
    let mut row = world.get(ORDERS, &[("id", &id)]).expect("only open orders change").clone();
    row.insert("state".into(), text(change.to.text()));
    row.insert("updated_at".into(), time(change.at));
    if let Some(reference) = &change.external_order_ref {
        row.insert("external_order_ref".into(), text(reference));
    }
    if change.to == OrderState::Acknowledged {
        row.insert("acknowledged_at".into(), time(change.at));
    }
    if change.to.is_final() {
        row.insert("completed_at".into(), time(change.at));
    }
    let told = outbox("order", id, &format!("order.{}", change.to.text()), &change.payload, change.at);
    vec![Effect::row(ORDERS, &["id"], row), told]
}

fn execution_effects(world: &World, execution: &Execution) -> Vec<Effect> {
    let order = execution.order_id.to_string();
    let row = image([
        ("order_id", text(&order)),
        ("provider_id", text(execution.provider_id)),
        ("execution_id", text(&execution.execution_id)),
        ("fill_quantity", numeric(&execution.fill_quantity)),
        ("fill_price", numeric(&execution.fill_price)),
        ("fee", execution.fee.as_ref().and_then(numeric)),
        ("fee_asset", execution.fee_asset.clone()),
        ("liquidity", execution.liquidity.clone()),
        ("traded_at", time(execution.traded_at)),
        ("metadata", jsonb(&execution.metadata)),
        ("created_at", time(execution.traded_at)),
    ]);
    let mut changed = world.get(ORDERS, &[("id", &order)]).expect("only open orders are filled").clone();
    changed.insert("state".into(), text(execution.state.text()));
    changed.insert("updated_at".into(), time(execution.traded_at));
    if execution.state.is_final() {
        changed.insert("completed_at".into(), time(execution.traded_at));
    }
    let aggregate = format!("{order}/{}", execution.execution_id);
    vec![
        Effect::row(EXECUTIONS, &["order_id", "execution_id"], row),
        Effect::row(ORDERS, &["id"], changed),
        outbox("execution", aggregate, "execution.recorded", &execution.payload, execution.traded_at),
    ]
}

fn balance_effects(balance: &Balance) -> Vec<Effect> {
    let row = image([
        ("provider_id", text(balance.provider_id)),
        ("asset", text(&balance.asset)),
        ("total", numeric(&balance.total)),
        ("available", numeric(&balance.available)),
        ("snapshot_at", time(balance.snapshot_at)),
        ("metadata", jsonb(&balance.metadata)),
        ("created_at", time(balance.snapshot_at)),
        ("updated_at", time(balance.snapshot_at)),
    ]);
    let aggregate = format!("{}/{}", balance.provider_id, balance.asset);
    vec![
        Effect::row(BALANCES, &["provider_id", "asset", "snapshot_at"], row),
        outbox("balance", aggregate, "balance.recorded", &balance.payload, balance.snapshot_at),
    ]
}
