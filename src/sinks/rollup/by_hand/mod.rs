//! The roll-ups of the five engines, by hand until they are compiled from `sql/rollups/*.sql`, which say the same.

mod aether;
mod meltica;
mod openmatch;
mod perplex;
mod worker;

use std::sync::Arc;

use super::contract::{Line, RollUp, Tables, Target, Unit};
use crate::model::TableName;

pub use aether::Aether;
pub use meltica::Meltica;
pub use openmatch::Openmatch;
pub use perplex::Perplex;
pub use worker::Worker;

/// The roll-up of this name (its target's); `None` when there is none.
#[must_use]
pub fn rollup(name: &str) -> Option<Arc<dyn RollUp>> {
    match name {
        "aether.pnl_daily" => Some(Arc::new(Aether::new())),
        "perplex.pnl_daily" => Some(Arc::new(Perplex::new())),
        "openmatch.pnl_daily" => Some(Arc::new(Openmatch::new())),
        "meltica.pnl_daily" => Some(Arc::new(Meltica::new())),
        "worker.pnl_daily" => Some(Arc::new(Worker::new())),
        _ => None,
    }
}

/// The names of all roll-ups.
pub const NAMES: [&str; 5] =
    ["aether.pnl_daily", "perplex.pnl_daily", "openmatch.pnl_daily", "meltica.pnl_daily", "worker.pnl_daily"];

/// The definition of a roll-up: the SELECT that its target must equal.
#[must_use]
pub fn definition(name: &str) -> Option<&'static str> {
    match name {
        "aether.pnl_daily" => Some(include_str!("../../../../sql/rollups/aether.sql")),
        "perplex.pnl_daily" => Some(include_str!("../../../../sql/rollups/perplex.sql")),
        "openmatch.pnl_daily" => Some(include_str!("../../../../sql/rollups/openmatch.sql")),
        "meltica.pnl_daily" => Some(include_str!("../../../../sql/rollups/meltica.sql")),
        "worker.pnl_daily" => Some(include_str!("../../../../sql/rollups/worker.sql")),
        _ => None,
    }
}

/// `schema.pnl_daily` by day, account, market and asset. Only measures that can be derived are named; the others stay
/// NULL.
fn pnl_daily(schema: &str, measures: &[(&'static str, &'static str)]) -> Target {
    Target {
        table: TableName::new(schema, "pnl_daily"),
        keys: vec![("day", "date"), ("account", "text"), ("market", "text"), ("asset", "text")],
        measures: measures.to_vec(),
        digits_max: None,
    }
}

/// The fills of an order, in the driving table `fills`: what depends on the order when it changes.
fn fills_of(tables: &Tables<'_>, fills: usize, order: &Line<'_>, units: &mut Vec<Unit>) {
    if let Ok(Some(id)) = order.bytes("id") {
        units.extend(tables.find(fills, "order_id", id).iter().map(Line::unit));
    }
}

/// The part of a market's name after `separator`: the asset that its amounts are in.
fn asset_of(market: &str, separator: char) -> Result<&str, String> {
    match market.split_once(separator) {
        Some((_, asset)) if !asset.is_empty() => Ok(asset),
        Some(_) | None => Err(format!("the market names no asset after '{separator}'")),
    }
}
