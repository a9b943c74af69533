//! What perplex's events say. The fields are the columns of the same name.

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::engines::{Amount, Side};

/// An order that rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Never used again, also not after the order is gone.
    pub id: String,
    /// The account.
    pub address: String,
    /// The market.
    pub market_id: String,
    /// Its side.
    pub side: Side,
    /// `limit`, or what else rests.
    pub order_type: String,
    /// Limit price.
    pub price: Amount,
    /// Ordered quantity.
    pub qty: Amount,
    /// What is not filled yet.
    pub remaining: Amount,
    /// When, nanoseconds since 1970.
    pub ts_ns: i64,
    /// The client's own id.
    pub client_order_id: Option<String>,
}

/// Which way a position goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Gains when the price rises.
    Long,
    /// Gains when the price falls.
    Short,
}

impl Direction {
    /// The column's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Direction::Long => "long",
            Direction::Short => "short",
        }
    }
}

/// A whole row of positions, as it is after an event. Size 0 closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Position {
    pub address: String,
    pub market_id: String,
    pub size: Amount,
    pub side: Direction,
    pub entry_price_x18: Amount,
    pub mark_price_x18: Amount,
    pub notional_usdc: Amount,
    pub unrealised_pnl_usdc: Amount,
    pub realised_pnl_usdc: Amount,
    pub leverage: Amount,
    pub liquidation_price_x18: Amount,
    pub funding_paid_usdc: Amount,
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub last_updated_ts_ns: i64,
}

/// One side of a trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The order that was filled.
    pub order_id: String,
    /// Its account.
    pub address: String,
    /// The key of its row in fills.
    pub fill_id: String,
    /// Its side.
    pub side: Side,
    /// What it pays; negative: a rebate.
    pub fee_usdc: Amount,
    /// What is added to its vault balance: realised P&L less fee.
    pub delta_usdc: Amount,
}

/// A taker's trade with one resting order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The key of the public trade, and of the event.
    pub id: String,
    /// The market.
    pub market_id: String,
    /// The maker's price.
    pub price: Amount,
    /// Traded quantity, at most what the maker has remaining.
    pub qty: Amount,
    /// When, nanoseconds since 1970.
    pub ts_ns: i64,
    /// The settlement's transaction.
    pub tx_hash: String,
    /// Who rested.
    pub maker: Leg,
    /// Who came; another address.
    pub taker: Leg,
    /// Both positions after the trade.
    pub positions: Vec<Position>,
}

/// Money into a vault; negative: out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// The event's own id, the same at every repeat.
    pub event_id: Uuid,
    /// The account.
    pub address: String,
    /// How much.
    pub amount_usdc: Amount,
}

/// What an account pays or receives for a market's funding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The key of its row.
    pub id: String,
    /// The account.
    pub address: String,
    /// Positive: received.
    pub amount_usdc: Amount,
}

/// A market's funding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Funding {
    /// The market.
    pub market_id: String,
    /// When, nanoseconds since 1970; with the market the key of the event.
    pub ts_ns: i64,
    /// The rate: not an amount, and a double in the table.
    pub rate_bps: f64,
    /// One for each open position of the market.
    pub payments: Vec<Payment>,
}

fn as_text<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
