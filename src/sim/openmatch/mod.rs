//! Simulated openmatch: epochs of collecting, sealing, matching and settling.

mod decide;
mod effects;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use super::actor::{Actor, Effect, Image, Moment, Rows};
use super::{Dice, World, column};
use crate::engines::openmatch::{BalanceChange, Epoch, Escrow, Order, Seal, Trade, Writer};
use crate::engines::{Error, Store};
use crate::model::Lsn;

/// Accounts of one seed.
const USERS: usize = 12;

/// Base assets, all against USDT, and their prices at the start in USDT.
const MARKETS: [(&str, &str, i64); 2] = [("BTC/USDT", "BTC", 60_000), ("ETH/USDT", "ETH", 3_000)];

/// The quote asset of all markets.
const QUOTE: &str = "USDT";

/// Epoch numbers of one seed begin at a multiple of this.
const EPOCHS_PER_SEED: i64 = 1_000_000_000;

/// The namespace of simulated ids.
const NAMESPACE: Uuid = uuid!("0b7e2a86-6c51-5e0a-8f39-71d4c2b9e602");

/// The node that the simulation plays, as `origin_node` and `matcher_node`.
const NODE: &[u8] = b"sim-1";

const ORDERS: &str = "openmatch.orders";
const BALANCES: &str = "openmatch.balances";
const EPOCHS: &str = "openmatch.epochs";
const TRADES: &str = "openmatch.trades";

/// What openmatch may do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Money enters.
    Balance(BalanceChange),
    /// An order arrives, with its escrow.
    Receive(Box<Order>),
    /// An open order ends.
    Cancel {
        /// Which.
        id: Uuid,
        /// When.
        at: Timestamp,
        /// What is released.
        release: Escrow,
    },
    /// The epoch's buffer is closed.
    Seal(Seal),
    /// Two orders of the book trade.
    Execute(Box<Trade>),
    /// The epoch enters a phase.
    Advance(Epoch),
}

/// The exchange, as its only writer sees it.
pub struct Openmatch {
    users: Vec<Uuid>,
    first_epoch: i64,
    world: World,
}

impl Openmatch {
    /// The exchange of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let user = |i: usize| Uuid::new_v5(&NAMESPACE, format!("{seed:x}:user:{i}").as_bytes());
        let first_epoch = i64::try_from(seed % 1_000_000).expect("below a million") * EPOCHS_PER_SEED;
        Self { users: (0..USERS).map(user).collect(), first_epoch, world: World::default() }
    }

    fn is_mine(&self, user: &str) -> bool {
        self.users.iter().any(|mine| mine.to_string() == user)
    }

    /// The current epoch: the newest of this seed.
    fn epoch(&self) -> Option<&Image> {
        self.world.rows(EPOCHS).max_by_key(|row| column(row, "epoch_id").parse::<i64>().ok())
    }
}

/// Whether an order can still trade.
fn is_open(order: &Image) -> bool {
    ["ACTIVE", "PARTIALLY_FILLED"].contains(&column(order, "status"))
}

impl Actor for Openmatch {
    type Event = Event;

    fn name(&self) -> &'static str {
        "openmatch"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ORDERS, BALANCES, EPOCHS, TRADES]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        let mut world = World::default();
        let epochs = self.first_epoch..self.first_epoch + EPOCHS_PER_SEED;
        world.load(rows, EPOCHS, &["epoch_id"], |row| {
            column(row, "epoch_id").parse().is_ok_and(|id: i64| epochs.contains(&id))
        });
        world.load(rows, BALANCES, &["user_id", "asset"], |row| self.is_mine(column(row, "user_id")));
        world.load(rows, ORDERS, &["id"], |row| self.is_mine(column(row, "user_id")) && is_open(row));
        world.load(rows, TRADES, &["id"], |row| self.is_mine(column(row, "taker_user_id")));
        self.world = world;
        self.forget();
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
        let written = match event {
            Event::Balance(change) => writer.balance_updated(change).await,
            Event::Receive(order) => writer.order_received(order).await,
            Event::Cancel { id, at, release } => writer.order_cancelled(*id, *at, Some(release)).await,
            Event::Seal(seal) => writer.buffer_sealed(seal).await,
            Event::Execute(trade) => writer.trade_executed(trade).await,
            Event::Advance(epoch) => writer.epoch_advanced(epoch).await,
        };
        Ok(written?.lsn)
    }

    fn fold(&mut self, event: &Event) {
        let effects = self.effects(event);
        self.world.fold(effects, |table, row| table != ORDERS || is_open(row));
        self.forget();
    }
}

impl Openmatch {
    /// Drops what the next decision cannot need: epochs and trades before the current epoch.
    fn forget(&mut self) {
        let Some(current) = self.epoch().map(|row| column(row, "epoch_id").to_owned()) else { return };
        let old = |table: &str, column_name: &str, key: &str| {
            let rows = self.world.rows(table).filter(|row| column(row, column_name) != current);
            rows.map(|row| Effect::gone(table, &[(key, column(row, key))])).collect::<Vec<_>>()
        };
        let gone = [old(EPOCHS, "epoch_id", "epoch_id"), old(TRADES, "batch_id", "id")].concat();
        self.world.fold(gone, |_, _| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal;

    #[test]
    fn a_restarted_exchange_decides_the_same() {
        for seed in [1, 99] {
            rehearsal::lives_on_after_restarts(|| Openmatch::new(seed), seed);
        }
    }
}
