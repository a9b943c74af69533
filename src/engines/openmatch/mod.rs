//! openmatch: the writer of a batch-matching exchange.
//!
//! Amounts are NUMERIC(28,8), which `rust_decimal` holds exactly; [`Money`] refuses what would be rounded. Freezing and
//! moving balances is part of the event that causes it.

mod money;
mod types;

pub use money::Money;
pub use types::{BalanceChange, Epoch, Escrow, Order, Phase, Seal, Status, Trade, Transfer};

use jiff::Timestamp;
use postgres_types::ToSql;
use uuid::Uuid;

use super::event::event;
use super::{Error, Event, Store, Written};

const ORDER_RECEIVED: Event = event!("openmatch", "order_received");
const ORDER_CANCELLED: Event = event!("openmatch", "order_cancelled");
const BUFFER_SEALED: Event = event!("openmatch", "buffer_sealed");
const TRADE_EXECUTED: Event = event!("openmatch", "trade_executed");
const BALANCE_UPDATED: Event = event!("openmatch", "balance_updated");
const EPOCH_ADVANCED: Event = event!("openmatch", "epoch_advanced");

/// Every event, for those who run the files elsewhere.
pub const EVENTS: [Event; 6] =
    [ORDER_RECEIVED, ORDER_CANCELLED, BUFFER_SEALED, TRADE_EXECUTED, BALANCE_UPDATED, EPOCH_ADVANCED];

/// Commits openmatch's events. Every call may be repeated.
#[derive(Clone)]
pub struct Writer {
    store: Store,
}

impl Writer {
    /// A writer on `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// An order arrives. [`Error::Conflict`]: too little is available to freeze.
    pub async fn order_received(&self, order: &Order) -> Result<Written, Error> {
        let (asset, escrow) = escrow(order.escrow.as_ref());
        let params: [&(dyn ToSql + Sync); 13] = [
            &order.id,
            &order.user_id,
            &order.market,
            &order.side.upper(),
            &order.order_type,
            &order.status.text(),
            &order.price,
            &order.quantity,
            &order.sequence,
            &order.origin_node,
            &order.created_at,
            &asset,
            &escrow,
        ];
        self.store.write(&ORDER_RECEIVED, &params).await.map(Written::from)
    }

    /// An open order ends; `release` is what was frozen for the rest of it. [`Error::Conflict`]: it is not open.
    pub async fn order_cancelled(&self, id: Uuid, at: Timestamp, release: Option<&Escrow>) -> Result<Written, Error> {
        let (asset, amount) = escrow(release);
        self.store.write(&ORDER_CANCELLED, &[&id, &at, &asset, &amount]).await.map(Written::from)
    }

    /// An epoch's buffer is closed. [`Error::Conflict`]: the epoch was not begun, or is sealed with another hash.
    pub async fn buffer_sealed(&self, seal: &Seal) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 4] = [&seal.epoch_id, &seal.batch_hash, &seal.sealed_at, &seal.orders];
        self.store.write(&BUFFER_SEALED, &params).await.map(Written::from)
    }

    /// Two orders trade. [`Error::Conflict`]: one of them is not open with that much remaining.
    pub async fn trade_executed(&self, trade: &Trade) -> Result<Written, Error> {
        let users: Vec<Uuid> = trade.transfers.iter().map(|t| t.user_id).collect();
        let assets: Vec<&str> = trade.transfers.iter().map(|t| t.asset.as_str()).collect();
        let available: Vec<Money> = trade.transfers.iter().map(|t| t.available).collect();
        let frozen: Vec<Money> = trade.transfers.iter().map(|t| t.frozen).collect();
        let params: [&(dyn ToSql + Sync); 17] = [
            &trade.id,
            &trade.batch_id,
            &trade.market,
            &trade.taker_order_id,
            &trade.maker_order_id,
            &trade.taker_user_id,
            &trade.maker_user_id,
            &trade.price,
            &trade.quantity,
            &trade.quote_amount,
            &trade.taker_side.upper(),
            &trade.matcher_node,
            &trade.executed_at,
            &users,
            &assets,
            &available,
            &frozen,
        ];
        self.store.write(&TRADE_EXECUTED, &params).await.map(Written::from)
    }

    /// A balance changes by an amount.
    pub async fn balance_updated(&self, change: &BalanceChange) -> Result<Written, Error> {
        let transfer = &change.transfer;
        let params: [&(dyn ToSql + Sync); 6] =
            [&change.event_id, &transfer.user_id, &transfer.asset, &transfer.available, &transfer.frozen, &change.at];
        self.store.write(&BALANCE_UPDATED, &params).await.map(Written::from)
    }

    /// An epoch begins, is matched, or is settled.
    pub async fn epoch_advanced(&self, epoch: &Epoch) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 5] =
            [&epoch.epoch_id, &epoch.phase.text(), &epoch.at, &epoch.result_hash, &epoch.trade_count];
        self.store.write(&EPOCH_ADVANCED, &params).await.map(Written::from)
    }
}

/// Asset and amount as parameters: no escrow is a null asset and nothing.
fn escrow(escrow: Option<&Escrow>) -> (Option<&str>, Money) {
    escrow.map_or((None, Money::ZERO), |e| (Some(e.asset.as_str()), e.amount))
}
