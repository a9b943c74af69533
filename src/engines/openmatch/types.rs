//! What openmatch's events say. The fields are the columns of the same name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Money;
use crate::engines::Side;

/// An order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The states' own names.
pub enum Status {
    PendingEscrow,
    Active,
    PartiallyFilled,
    Filled,
    Cancelled,
    Rejected,
    Expired,
}

impl Status {
    /// The column's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Status::PendingEscrow => "PENDING_ESCROW",
            Status::Active => "ACTIVE",
            Status::PartiallyFilled => "PARTIALLY_FILLED",
            Status::Filled => "FILLED",
            Status::Cancelled => "CANCELLED",
            Status::Rejected => "REJECTED",
            Status::Expired => "EXPIRED",
        }
    }
}

/// What an order freezes, or what its end releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escrow {
    /// The asset.
    pub asset: String,
    /// How much of it moves between available and frozen.
    pub amount: Money,
}

/// An order that arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its key, and the event's.
    pub id: Uuid,
    /// The account.
    pub user_id: Uuid,
    /// `BASE/QUOTE`.
    pub market: String,
    /// Its side.
    pub side: Side,
    /// LIMIT, MARKET or CANCEL.
    pub order_type: String,
    /// ACTIVE when its escrow is frozen with it.
    pub status: Status,
    /// Limit price; none for a market order.
    pub price: Option<Money>,
    /// Ordered quantity.
    pub quantity: Money,
    /// Its place among the arrivals.
    pub sequence: i64,
    /// The node that took it.
    pub origin_node: Vec<u8>,
    /// When.
    pub created_at: Timestamp,
    /// What is frozen with it.
    pub escrow: Option<Escrow>,
}

/// The closing of an epoch's buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The epoch, which is also the batch's number.
    pub epoch_id: i64,
    /// The hash of the sealed batch.
    pub batch_hash: Vec<u8>,
    /// When.
    pub sealed_at: Timestamp,
    /// The batch's orders in their sequence.
    pub orders: Vec<Uuid>,
}

/// What is added to one balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The account.
    pub user_id: Uuid,
    /// The asset.
    pub asset: String,
    /// Added to available.
    pub available: Money,
    /// Added to frozen.
    pub frozen: Money,
}

/// A trade between two orders of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Trade {
    pub id: Uuid,
    pub batch_id: i64,
    pub market: String,
    pub taker_order_id: Uuid,
    pub maker_order_id: Uuid,
    pub taker_user_id: Uuid,
    pub maker_user_id: Uuid,
    pub price: Money,
    pub quantity: Money,
    pub quote_amount: Money,
    pub taker_side: Side,
    pub matcher_node: Vec<u8>,
    pub executed_at: Timestamp,
    /// What moves between the balances of the two.
    pub transfers: Vec<Transfer>,
}

/// A balance change of its own: a deposit, a withdrawal, a correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceChange {
    /// The event's own id, the same at every repeat.
    pub event_id: Uuid,
    /// What changes.
    pub transfer: Transfer,
    /// When.
    pub at: Timestamp,
}

/// A phase that an epoch enters. (SEALED is entered by [`Seal`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Orders arrive.
    Collecting,
    /// The sealed batch is matched.
    Matching,
    /// All its trades are executed.
    Settled,
}

impl Phase {
    /// The column's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Phase::Collecting => "COLLECTING",
            Phase::Matching => "MATCHING",
            Phase::Settled => "SETTLED",
        }
    }
}

/// An epoch enters a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number.
    pub epoch_id: i64,
    /// The phase.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
    /// The hash of the results, when it is settled.
    pub result_hash: Option<Vec<u8>>,
    /// Its trades, when it is settled.
    pub trade_count: Option<i32>,
}
