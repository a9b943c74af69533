//! worker's writer: a trading bot on several exchanges. Amounts are integers in base and quote units.
//!
//! Invariants: one order an idempotency key; a fill and its order's new status are one transaction. Every event may be
//! repeated. Its questions about time are in [`queries`].

pub mod queries;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::event::event;
use super::{Error, Event, Side, Store, Written};

pub use words::{EventType, FillStatus, Kind, Status};

const ORDER: Event = event!("worker", "order");
const ORDER_STATUS: Event = event!("worker", "order_status");
const FILL: Event = event!("worker", "fill");
const SNAPSHOT: Event = event!("worker", "snapshot");
const AUDIT: Event = event!("worker", "audit");
const FUNDING_SNAPSHOT: Event = event!("worker", "funding_snapshot");
const FUNDING_PAYMENT: Event = event!("worker", "funding_payment");

/// Every event.
pub const EVENTS: [Event; 7] = [ORDER, ORDER_STATUS, FILL, SNAPSHOT, AUDIT, FUNDING_SNAPSHOT, FUNDING_PAYMENT];

/// An order about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The id it gets if the key is new.
    pub id: Uuid,
    /// Names the decision: a retry of the decision has the same.
    pub idempotency_key: String,
    /// Where.
    pub exchange: String,
    /// What.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// How.
    pub kind: Kind,
    /// How much, base units.
    pub quantity_base: i64,
    /// At what price, quote units; none for a market order.
    pub price_quote: Option<i64>,
    /// When it was decided.
    pub placed_at: Timestamp,
}

/// What [`Writer::place_order`] found or made.
#[derive(Debug)]
pub struct Placed {
    /// Of the order that has the key.
    pub id: Uuid,
    /// The write.
    pub written: Written,
}

/// An exchange's word on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// The order.
    pub order_id: Uuid,
    /// What it is now.
    pub status: Status,
    /// The exchange's id of it, once known.
    pub exchange_order_id: Option<String>,
    /// When the exchange said so.
    pub said_at: Timestamp,
}

/// A fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The id it gets if it is new.
    pub id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The exchange's name for it: a repeated report has the same.
    pub exchange_fill_id: String,
    /// Quote units.
    pub price_quote: i64,
    /// Base units.
    pub quantity_base: i64,
    /// Units of `fee_asset`.
    pub fee_quote: i64,
    /// What the fee was paid in.
    pub fee_asset: String,
    /// When.
    pub filled_at: Timestamp,
    /// What the order is after it.
    pub status: FillStatus,
}

/// Balances, positions and open orders as reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of this reconciliation.
    pub id: Uuid,
    /// The state.
    pub snapshot: Value,
    /// When.
    pub reconciled_at: Timestamp,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Of this entry.
    pub id: Uuid,
    /// Its type.
    pub event_type: EventType,
    /// What happened.
    pub event_data: Value,
    /// When.
    pub created_at: Timestamp,
}

/// A market's funding at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingSnapshot {
    /// Of this look.
    pub id: Uuid,
    /// Where.
    pub exchange: String,
    /// What.
    pub symbol: String,
    /// The rate, in 1/10000.
    pub funding_rate_bps: i64,
    /// Quote units.
    pub mark_price_quote: i64,
    /// Quote units.
    pub index_price_quote: i64,
    /// When.
    pub snapshot_at: Timestamp,
}

/// Funding paid or received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingPayment {
    /// Of the payment.
    pub id: Uuid,
    /// Where.
    pub exchange: String,
    /// For what.
    pub symbol: String,
    /// In what.
    pub asset: String,
    /// Positive: received.
    pub amount_quote: i64,
    /// When.
    pub paid_at: Timestamp,
}

/// The writer of worker. Each call returns when Postgres has committed.
#[derive(Clone)]
pub struct Writer {
    store: Store,
}

impl Writer {
    /// Writes through `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Records the decision before the order is sent. Whoever repeats it gets the id of the first.
    pub async fn place_order(&self, o: &Order) -> Result<Placed, Error> {
        let (side, kind) = (o.side.upper(), o.kind.as_str());
        let params: super::Params<'_> = &[
            &o.id,
            &o.idempotency_key,
            &o.exchange,
            &o.symbol,
            &side,
            &o.quantity_base,
            &o.price_quote,
            &kind,
            &o.placed_at,
        ];
        let committed = self.store.write(&ORDER, params).await?;
        Ok(Placed { id: committed.row.get("id"), written: committed.into() })
    }

    /// Records an exchange's word on an order, other than a fill.
    pub async fn change_status(&self, c: &StatusChange) -> Result<Written, Error> {
        let params: super::Params<'_> = &[&c.order_id, &c.status.as_str(), &c.exchange_order_id, &c.said_at];
        Ok(self.store.write(&ORDER_STATUS, params).await?.into())
    }

    /// Records a fill and its order's new status.
    pub async fn record_fill(&self, f: &Fill) -> Result<Written, Error> {
        let status = f.status.as_str();
        let params: super::Params<'_> = &[
            &f.id,
            &f.order_id,
            &f.exchange_fill_id,
            &f.price_quote,
            &f.quantity_base,
            &f.fee_quote,
            &f.fee_asset,
            &f.filled_at,
            &status,
        ];
        Ok(self.store.write(&FILL, params).await?.into())
    }

    /// Records a reconciled state.
    pub async fn record_snapshot(&self, s: &Snapshot) -> Result<Written, Error> {
        Ok(self.store.write(&SNAPSHOT, &[&s.id, &s.snapshot, &s.reconciled_at]).await?.into())
    }

    /// Records an entry of the audit log.
    pub async fn record_audit(&self, a: &Audit) -> Result<Written, Error> {
        Ok(self.store.write(&AUDIT, &[&a.id, &a.event_type.as_str(), &a.event_data, &a.created_at]).await?.into())
    }

    /// Records a market's funding.
    pub async fn record_funding(&self, f: &FundingSnapshot) -> Result<Written, Error> {
        let params: super::Params<'_> = &[
            &f.id,
            &f.exchange,
            &f.symbol,
            &f.funding_rate_bps,
            &f.mark_price_quote,
            &f.index_price_quote,
            &f.snapshot_at,
        ];
        Ok(self.store.write(&FUNDING_SNAPSHOT, params).await?.into())
    }

    /// Records a funding payment.
    pub async fn record_payment(&self, p: &FundingPayment) -> Result<Written, Error> {
        let params: super::Params<'_> = &[&p.id, &p.exchange, &p.symbol, &p.asset, &p.amount_quote, &p.paid_at];
        Ok(self.store.write(&FUNDING_PAYMENT, params).await?.into())
    }
}
