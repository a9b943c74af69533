//! What meltica's events say. The fields are the columns of the same name; `payload` is that of the outbox event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::engines::{Numeric, Side};
use crate::model::Lsn;

/// An amount of meltica's.
pub type Amount = Numeric<32, 16>;

/// A saved row that has an id of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved<Id> {
    /// The row's id: an existing row keeps its own.
    pub id: Id,
    /// False when this save, or one decided later, stood already.
    pub applied: bool,
    /// A reader at or past this position sees it.
    pub lsn: Lsn,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Provider {
    pub alias: String,
    pub display_name: String,
    pub adapter_identifier: String,
    pub connection: Value,
    pub status: String,
    pub metadata: Value,
    /// When it was decided: of two saves the later stands.
    pub updated_at: Timestamp,
}

/// A provider's route for a symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Route {
    pub provider_id: i64,
    pub symbol: String,
    /// The version that was read; 0: the route is new.
    pub version: i32,
    pub route: Value,
    pub metadata: Value,
    pub updated_at: Timestamp,
}

/// A version of a strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Strategy {
    pub id: Uuid,
    pub strategy_identifier: String,
    pub version: String,
    pub status: String,
    pub config_hash: String,
    pub description: String,
    pub metadata: Value,
    /// When it was decided: of two saves the later stands.
    pub updated_at: Timestamp,
}

/// An order sent to a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Order {
    pub id: Uuid,
    pub provider_id: i64,
    pub strategy_instance_id: Option<Uuid>,
    pub client_order_id: String,
    pub instrument: String,
    pub side: Side,
    pub order_type: String,
    pub quantity: Amount,
    pub price: Option<Amount>,
    pub placed_at: Timestamp,
    pub metadata: Value,
    pub payload: Value,
}

/// An order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The states' own names.
pub enum OrderState {
    Placed,
    Acknowledged,
    PartiallyFilled,
    Filled,
    Cancelled,
    Rejected,
    Expired,
}

impl OrderState {
    /// The column's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            OrderState::Placed => "placed",
            OrderState::Acknowledged => "acknowledged",
            OrderState::PartiallyFilled => "partially_filled",
            OrderState::Filled => "filled",
            OrderState::Cancelled => "cancelled",
            OrderState::Rejected => "rejected",
            OrderState::Expired => "expired",
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            OrderState::Placed | OrderState::Acknowledged | OrderState::PartiallyFilled => false,
            OrderState::Filled | OrderState::Cancelled | OrderState::Rejected | OrderState::Expired => true,
        }
    }
}

/// A change of an order's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateChange {
    /// The order.
    pub id: Uuid,
    /// The states it may come from; `to` is not among them.
    pub from: Vec<OrderState>,
    /// Its new state.
    pub to: OrderState,
    /// The provider's id of the order; none: keep what is known.
    pub external_order_ref: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Of the outbox event.
    pub payload: Value,
}

/// An execution that a provider reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Execution {
    pub order_id: Uuid,
    pub provider_id: i64,
    pub execution_id: String,
    pub fill_quantity: Amount,
    pub fill_price: Amount,
    pub fee: Option<Amount>,
    pub fee_asset: Option<String>,
    pub liquidity: Option<String>,
    pub traded_at: Timestamp,
    pub metadata: Value,
    /// The order's state after it, unless it is completed already.
    pub state: OrderState,
    pub payload: Value,
}

/// A provider's balance of an asset at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Balance {
    pub provider_id: i64,
    pub asset: String,
    pub total: Amount,
    pub available: Amount,
    pub snapshot_at: Timestamp,
    pub metadata: Value,
    pub payload: Value,
}
