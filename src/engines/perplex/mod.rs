//! perplex: the writer of a perpetual-futures exchange edge.
//!
//! Amounts are exact decimal text from end to end. Matching is the engine's; this commits what it decided, and refuses a
//! trade against an order that does not rest any more.

mod types;

pub use types::{Deposit, Direction, Funding, Leg, Order, Payment, Position, Trade};

use postgres_types::Json;
use uuid::{Uuid, uuid};

use super::event::event;
use super::{Error, Event, Store, Written};

/// The namespace of perplex's version 5 event ids. Never changes: old ids must stay known.
pub const NAMESPACE: Uuid = uuid!("6a3f0c52-3d0e-5b1f-9d4e-2f7a1c8e5b01");

const PLACE_ORDER: Event = event!("perplex", "place_order");
const CANCEL_ORDER: Event = event!("perplex", "cancel_order");
const MATCH_TRADE: Event = event!("perplex", "match_trade");
const DEPOSIT: Event = event!("perplex", "deposit");
const FUNDING: Event = event!("perplex", "funding");

/// Every event, for those who run the files elsewhere.
pub const EVENTS: [Event; 5] = [PLACE_ORDER, CANCEL_ORDER, MATCH_TRADE, DEPOSIT, FUNDING];

/// The event id of placing an order.
#[must_use]
pub fn place_event_id(order_id: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("place:{order_id}").as_bytes())
}

/// Commits perplex's events. Every call may be repeated.
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

    /// An order rests.
    pub async fn place_order(&self, order: &Order) -> Result<Written, Error> {
        let (event_id, ts_ns) = (place_event_id(&order.id), order.ts_ns.to_string());
        let params: [&(dyn postgres_types::ToSql + Sync); 11] = [
            &event_id,
            &order.id,
            &order.address,
            &order.market_id,
            &order.side.lower(),
            &order.order_type,
            &order.price,
            &order.qty,
            &order.remaining,
            &ts_ns,
            &order.client_order_id,
        ];
        self.store.write(&PLACE_ORDER, &params).await.map(Written::from)
    }

    /// An order leaves the book unfilled; `applied` is false when it does not rest any more.
    pub async fn cancel_order(&self, order_id: &str) -> Result<Written, Error> {
        self.store.write(&CANCEL_ORDER, &[&order_id]).await.map(Written::from)
    }

    /// A taker trades with a resting order. [`Error::Conflict`]: that order does not rest with so much remaining.
    pub async fn match_trade(&self, trade: &Trade) -> Result<Written, Error> {
        let ts_ns = trade.ts_ns.to_string();
        let (maker, taker) = (&trade.maker, &trade.taker);
        let params: [&(dyn postgres_types::ToSql + Sync); 19] = [
            &trade.id,
            &trade.market_id,
            &trade.price,
            &trade.qty,
            &ts_ns,
            &trade.tx_hash,
            &maker.order_id,
            &maker.address,
            &maker.fill_id,
            &maker.side.lower(),
            &maker.fee_usdc,
            &taker.order_id,
            &taker.address,
            &taker.fill_id,
            &taker.side.lower(),
            &taker.fee_usdc,
            &maker.delta_usdc,
            &taker.delta_usdc,
            &Json(&trade.positions),
        ];
        self.store.write(&MATCH_TRADE, &params).await.map(Written::from)
    }

    /// Money enters a vault, or leaves it.
    pub async fn deposit(&self, deposit: &Deposit) -> Result<Written, Error> {
        let params: [&(dyn postgres_types::ToSql + Sync); 3] =
            [&deposit.event_id, &deposit.address, &deposit.amount_usdc];
        self.store.write(&DEPOSIT, &params).await.map(Written::from)
    }

    /// A market's funding is paid.
    pub async fn funding(&self, funding: &Funding) -> Result<Written, Error> {
        let params: [&(dyn postgres_types::ToSql + Sync); 4] =
            [&funding.market_id, &funding.ts_ns, &funding.rate_bps, &Json(&funding.payments)];
        self.store.write(&FUNDING, &params).await.map(Written::from)
    }
}
