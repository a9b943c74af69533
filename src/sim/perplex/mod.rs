//! Simulated perplex: takers meet resting makers; what does not cross rests; funding every so often.

mod decide;
mod effects;
mod position;

use serde::{Deserialize, Serialize};

use super::actor::{Actor, Effect, Image, Moment, Rows};
use super::{Dice, World, column};
use crate::engines::perplex::{Deposit, Funding, Order, Trade, Writer};
use crate::engines::{Error, Store};
use crate::model::Lsn;

/// Accounts of one seed.
const ACCOUNTS: usize = 16;

/// Markets and their prices at the start, in cents.
const MARKETS: [(&str, i128); 3] = [("BTC-PERP", 6_000_000), ("ETH-PERP", 300_000), ("SOL-PERP", 15_000)];

/// Decimals of prices, quantities and USDC.
const PRICE_SCALE: usize = 2;
const QTY_SCALE: usize = 3;
const USDC_SCALE: usize = 6;

const ORDERS: &str = "perplex.open_orders";
const POSITIONS: &str = "perplex.positions";
const BALANCES: &str = "perplex.vault_balances";

/// What perplex may do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Money enters.
    Deposit(Deposit),
    /// An order rests.
    Place(Order),
    /// A resting order is withdrawn.
    Cancel {
        /// Its id.
        id: String,
    },
    /// A taker meets the best resting order.
    Match(Box<Trade>),
    /// A market's funding.
    Funding(Funding),
}

/// The exchange, as its only writer sees it.
pub struct Perplex {
    accounts: Vec<String>,
    world: World,
}

impl Perplex {
    /// The exchange of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let accounts = (0..ACCOUNTS).map(|i| {
            let bytes: [u8; 20] = Dice::new(seed, "perplex-account", i as u64).bytes();
            bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        });
        Self { accounts: accounts.collect(), world: World::default() }
    }
}

impl Actor for Perplex {
    type Event = Event;

    fn name(&self) -> &'static str {
        "perplex"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ORDERS, POSITIONS, BALANCES]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        let accounts = self.accounts.clone();
        let mine = |image: &Image| accounts.iter().any(|account| account == column(image, "address"));
        self.world.load(rows, ORDERS, &["id"], mine);
        self.world.load(rows, POSITIONS, &["address", "market_id"], mine);
        self.world.load(rows, BALANCES, &["address"], mine);
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
            Event::Deposit(deposit) => writer.deposit(deposit).await,
            Event::Place(order) => writer.place_order(order).await,
            Event::Cancel { id } => writer.cancel_order(id).await,
            Event::Match(trade) => writer.match_trade(trade).await,
            Event::Funding(funding) => writer.funding(funding).await,
        };
        Ok(written?.lsn)
    }

    fn fold(&mut self, event: &Event) {
        let effects = self.effects(event);
        self.world.fold(effects, |table, _| [ORDERS, POSITIONS, BALANCES].contains(&table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal;

    #[test]
    fn a_restarted_exchange_decides_the_same() {
        for seed in [1, 99] {
            rehearsal::lives_on_after_restarts(|| Perplex::new(seed), seed);
        }
    }
}
