//! Simulated meltica: providers, routes and strategies first, then orders from placing to their last execution.

mod decide;
mod effects;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use super::actor::{Actor, Effect, Image, Moment, Rows};
use super::{Dice, World, column};
use crate::engines::meltica::{Balance, Execution, Order, Provider, Reader, Route, StateChange, Strategy, Writer};
use crate::engines::{Error, Store};
use crate::model::Lsn;

/// Providers of one seed.
const PROVIDERS: [&str; 3] = ["binance", "okx", "kraken"];

/// Instruments, which are also the routes' symbols, and their prices in cents.
const INSTRUMENTS: [(&str, i64); 3] = [("BTC-USDT", 6_000_000), ("ETH-USDT", 300_000), ("SOL-USDT", 15_000)];

/// Strategies of one seed.
const STRATEGIES: [&str; 2] = ["maker", "momentum"];

/// The namespace of simulated ids.
const NAMESPACE: Uuid = uuid!("3c9d1f74-15ab-5d62-b0e8-96a2f7d3c403");

const PROVIDERS_TABLE: &str = "meltica.providers";
const ROUTES: &str = "meltica.provider_routes";
const STRATEGIES_TABLE: &str = "meltica.strategy_instances";
const ORDERS: &str = "meltica.orders";
const EXECUTIONS: &str = "meltica.executions";
const BALANCES: &str = "meltica.balances";
const OUTBOX: &str = "meltica.events_outbox";

/// What meltica may do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A provider is added or changed.
    Provider(Provider),
    /// A strategy is added.
    Strategy(Strategy),
    /// A route is added or changed under its lock.
    Route(Route),
    /// An order is sent.
    Place(Box<Order>),
    /// An order is acknowledged, rejected or cancelled.
    State(StateChange),
    /// An order is filled in part or whole.
    Execution(Box<Execution>),
    /// A provider's balance is noted.
    Balance(Balance),
}

/// The gateway, as its only writer sees it.
pub struct Meltica {
    seed: u64,
    provider_ids: BTreeMap<String, i64>,
    world: World,
}

impl Meltica {
    /// The gateway of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, provider_ids: BTreeMap::new(), world: World::default() }
    }

    fn alias(&self, provider: &str) -> String {
        format!("{provider}-{:x}", self.seed)
    }

    /// The ids of the providers, in the order of their aliases.
    fn provider_ids(&self) -> Vec<i64> {
        self.provider_ids.values().copied().collect()
    }
}

/// Whether an order can still change.
fn is_open(order: &Image) -> bool {
    ["placed", "acknowledged", "partially_filled"].contains(&column(order, "state"))
}

impl Actor for Meltica {
    type Event = Event;

    fn name(&self) -> &'static str {
        "meltica"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[PROVIDERS_TABLE, ROUTES, STRATEGIES_TABLE, ORDERS, EXECUTIONS]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        let mut world = World::default();
        let suffix = format!("-{:x}", self.seed);
        world.load(rows, PROVIDERS_TABLE, &["alias"], |row| column(row, "alias").ends_with(&suffix));
        world.load(rows, STRATEGIES_TABLE, &["strategy_identifier", "version"], |row| {
            column(row, "strategy_identifier").ends_with(&suffix)
        });
        world.load(rows, ROUTES, &["provider_id", "symbol"], |row| column(row, "metadata").contains(&suffix));
        world.load(rows, ORDERS, &["id"], |row| is_open(row) && column(row, "client_order_id").ends_with(&suffix));
        let open: Vec<String> = world.rows(ORDERS).map(|row| column(row, "id").to_owned()).collect();
        world.load(rows, EXECUTIONS, &["order_id", "execution_id"], |row| {
            open.binary_search_by(|id| id.as_str().cmp(column(row, "order_id"))).is_ok()
        });
        self.world = world;
        Ok(())
    }

    async fn prepare(&mut self, store: &Store) -> Result<(), Error> {
        let reader = Reader::new(store.clone());
        for provider in PROVIDERS {
            if let Some(row) = reader.provider(&self.alias(provider)).await? {
                self.provider_ids.insert(row.alias, row.id);
            }
        }
        Ok(())
    }

    fn decide(&self, moment: Moment, dice: &mut Dice) -> Event {
        decide::decide(self, moment, dice)
    }

    fn effects(&self, event: &Event) -> Vec<Effect> {
        effects::effects(&self.world, event)
    }

    async fn perform(&mut self, store: &Store, event: &Event) -> Result<Lsn, Error> {
        let writer = Writer::new(store.clone());
        let lsn = match event {
            Event::Provider(provider) => {
                let saved = writer.provider_saved(provider).await?;
                self.provider_ids.insert(provider.alias.clone(), saved.id);
                saved.lsn
            }
            Event::Strategy(strategy) => writer.strategy_saved(strategy).await?.lsn,
            Event::Route(route) => writer.route_saved(route).await?.lsn,
            Event::Place(order) => writer.order_placed(order).await?.lsn,
            Event::State(change) => writer.order_state(change).await?.lsn,
            Event::Execution(execution) => writer.execution_recorded(execution).await?.lsn,
            Event::Balance(balance) => writer.balance_recorded(balance).await?.lsn,
        };
        Ok(lsn)
    }

    fn fold(&mut self, event: &Event) {
        let effects = self.effects(event);
        self.world.fold(effects, |table, row| match table {
            BALANCES | OUTBOX => false,
            ORDERS => is_open(row),
            _ => true,
        });
        self.forget_executions(event);
    }
}

impl Meltica {
    /// Drops the executions of an order that is done.
    fn forget_executions(&mut self, event: &Event) {
        let id = match event {
            Event::State(change) => change.id.to_string(),
            Event::Execution(execution) => execution.order_id.to_string(),
            Event::Provider(_) | Event::Strategy(_) | Event::Route(_) | Event::Place(_) | Event::Balance(_) => return,
        };
        if self.world.get(ORDERS, &[("id", id.as_str())]).is_some() {
            return;
        }
        let of_order = self.world.rows(EXECUTIONS).filter(|row| column(row, "order_id") == id);
        let gone = of_order.map(|row| {
            Effect::gone(EXECUTIONS, &[("order_id", id.as_str()), ("execution_id", column(row, "execution_id"))])
        });
        let gone = gone.collect();
        self.world.fold(gone, |_, _| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal;

    #[test]
    fn a_restarted_gateway_decides_the_same() {
        for seed in [1, 99] {
            let make = || {
                let mut meltica = Meltica::new(seed);
                // On a server they come back from saving the providers.
                let ids = PROVIDERS.iter().zip(1..).map(|(name, id)| (meltica.alias(name), id));
                meltica.provider_ids = ids.collect();
                meltica
            };
            rehearsal::lives_on_after_restarts(make, seed);
        }
    }
}
