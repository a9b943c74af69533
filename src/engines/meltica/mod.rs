//! meltica: the writer of a gateway to many venues.
//!
//! Each change that consumers hear of commits its outbox event in the same transaction. Configuration that operators
//! change (routes) is under an optimistic lock; orders, executions and balances have natural keys.

pub mod metrics;
mod purge;
mod read;
mod types;

pub use purge::{purge_balances, purge_outbox};
pub use read::{Claimed, OutboxLease, ProviderRow, Reader, RouteRow};
pub use types::{Amount, Balance, Execution, Order, OrderState, Provider, Route, Saved, StateChange, Strategy};

use jiff::Timestamp;
use postgres_types::ToSql;
use uuid::Uuid;

use super::event::event;
use super::{Error, Event, Store, Written};

const PROVIDER_SAVED: Event = event!("meltica", "provider_saved");
const PROVIDER_REMOVED: Event = event!("meltica", "provider_removed");
const ROUTE_SAVED: Event = event!("meltica", "route_saved");
const STRATEGY_SAVED: Event = event!("meltica", "strategy_saved");
const STRATEGY_REMOVED: Event = event!("meltica", "strategy_removed");
const ORDER_PLACED: Event = event!("meltica", "order_placed");
const ORDER_STATE: Event = event!("meltica", "order_state");
const EXECUTION_RECORDED: Event = event!("meltica", "execution_recorded");
const BALANCE_RECORDED: Event = event!("meltica", "balance_recorded");
const OUTBOX_DELIVERED: Event = event!("meltica", "outbox_delivered");
const OUTBOX_FAILED: Event = event!("meltica", "outbox_failed");

/// Every event, for those who run the files elsewhere.
pub const EVENTS: [Event; 11] = [
    PROVIDER_SAVED,
    PROVIDER_REMOVED,
    ROUTE_SAVED,
    STRATEGY_SAVED,
    STRATEGY_REMOVED,
    ORDER_PLACED,
    ORDER_STATE,
    EXECUTION_RECORDED,
    BALANCE_RECORDED,
    OUTBOX_DELIVERED,
    OUTBOX_FAILED,
];

/// Commits meltica's events. Every call may be repeated.
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

    /// A provider is added, changed, or brought back; of two saves the one decided later stands.
    pub async fn provider_saved(&self, provider: &Provider) -> Result<Saved<i64>, Error> {
        let params: [&(dyn ToSql + Sync); 7] = [
            &provider.alias,
            &provider.display_name,
            &provider.adapter_identifier,
            &provider.connection,
            &provider.status,
            &provider.metadata,
            &provider.updated_at,
        ];
        let committed = self.store.write(&PROVIDER_SAVED, &params).await?;
        Ok(Saved { id: committed.row.get("id"), applied: committed.applied, lsn: committed.lsn })
    }

    /// An operator removes a provider; its rows stay.
    pub async fn provider_removed(&self, alias: &str, at: Timestamp) -> Result<Written, Error> {
        self.store.write(&PROVIDER_REMOVED, &[&alias, &at]).await.map(Written::from)
    }

    /// A route is added or changed. [`Error::Conflict`]: somebody else changed it since `route.version` was read.
    pub async fn route_saved(&self, route: &Route) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 6] =
            [&route.provider_id, &route.symbol, &route.version, &route.route, &route.metadata, &route.updated_at];
        self.store.write(&ROUTE_SAVED, &params).await.map(Written::from)
    }

    /// A version of a strategy is added, changed, or brought back.
    pub async fn strategy_saved(&self, strategy: &Strategy) -> Result<Saved<Uuid>, Error> {
        let params: [&(dyn ToSql + Sync); 8] = [
            &strategy.id,
            &strategy.strategy_identifier,
            &strategy.version,
            &strategy.status,
            &strategy.config_hash,
            &strategy.description,
            &strategy.metadata,
            &strategy.updated_at,
        ];
        let committed = self.store.write(&STRATEGY_SAVED, &params).await?;
        Ok(Saved { id: committed.row.get("id"), applied: committed.applied, lsn: committed.lsn })
    }

    /// An operator removes a version of a strategy; its rows stay.
    pub async fn strategy_removed(&self, identifier: &str, version: &str, at: Timestamp) -> Result<Written, Error> {
        self.store.write(&STRATEGY_REMOVED, &[&identifier, &version, &at]).await.map(Written::from)
    }

    /// An order is sent to a provider.
    pub async fn order_placed(&self, order: &Order) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 12] = [
            &order.id,
            &order.provider_id,
            &order.strategy_instance_id,
            &order.client_order_id,
            &order.instrument,
            &order.side.lower(),
            &order.order_type,
            &order.quantity,
            &order.price,
            &order.placed_at,
            &order.metadata,
            &order.payload,
        ];
        self.store.write(&ORDER_PLACED, &params).await.map(Written::from)
    }

    /// An order's state changes. [`Error::Conflict`]: it is in none of the states it may come from.
    pub async fn order_state(&self, change: &StateChange) -> Result<Written, Error> {
        let from: Vec<&str> = change.from.iter().map(|state| state.text()).collect();
        let params: [&(dyn ToSql + Sync); 6] =
            [&change.id, &from, &change.to.text(), &change.external_order_ref, &change.at, &change.payload];
        self.store.write(&ORDER_STATE, &params).await.map(Written::from)
    }

    /// A provider reports an execution.
    pub async fn execution_recorded(&self, execution: &Execution) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 12] = [
            &execution.order_id,
            &execution.provider_id,
            &execution.execution_id,
            &execution.fill_quantity,
            &execution.fill_price,
            &execution.fee,
            &execution.fee_asset,
            &execution.liquidity,
            &execution.traded_at,
            &execution.metadata,
            &execution.state.text(),
            &execution.payload,
        ];
        self.store.write(&EXECUTION_RECORDED, &params).await.map(Written::from)
    }

    /// A provider's balance of an asset, as it was at a moment.
    pub async fn balance_recorded(&self, balance: &Balance) -> Result<Written, Error> {
        let params: [&(dyn ToSql + Sync); 7] = [
            &balance.provider_id,
            &balance.asset,
            &balance.total,
            &balance.available,
            &balance.snapshot_at,
            &balance.metadata,
            &balance.payload,
        ];
        self.store.write(&BALANCE_RECORDED, &params).await.map(Written::from)
    }

    /// Outbox events have reached their consumers.
    pub async fn outbox_delivered(&self, ids: &[i64], at: Timestamp) -> Result<Written, Error> {
        self.store.write(&OUTBOX_DELIVERED, &[&ids, &at]).await.map(Written::from)
    }

    /// A claimed outbox event could not be delivered; it is tried again from `available_at` on.
    pub async fn outbox_failed(
        &self,
        id: i64,
        claimed_at: Timestamp,
        why: &str,
        available_at: Timestamp,
    ) -> Result<Written, Error> {
        self.store.write(&OUTBOX_FAILED, &[&id, &claimed_at, &why, &available_at]).await.map(Written::from)
    }
}
