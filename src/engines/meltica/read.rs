//! meltica's queries, and the claiming of outbox events.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::engines::event::query;
use crate::engines::{Error, Event, Store};

const PROVIDER_BY_ALIAS: Event = query!("meltica", "provider_by_alias");
const ROUTES_OF_PROVIDER: Event = query!("meltica", "routes_of_provider");
const OPEN_ORDERS: Event = query!("meltica", "open_orders");
const EXECUTIONS_OF_ORDER: Event = query!("meltica", "executions_of_order");
const LATEST_BALANCES: Event = query!("meltica", "latest_balances");
const CLAIM_OUTBOX: Event = query!("meltica", "claim_outbox");

/// Reads meltica's tables.
#[derive(Clone)]
pub struct Reader {
    store: Store,
}

/// A provider that was not removed.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct ProviderRow {
    pub id: i64,
    pub alias: String,
    pub status: String,
    pub connection: Value,
    pub metadata: Value,
}

/// A route and the version its next save must name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct RouteRow {
    pub symbol: String,
    pub version: i32,
    pub route: Value,
    pub metadata: Value,
}

/// How events are claimed for delivery.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLease {
    /// Most events at once.
    pub limit: i64,
    /// A claim older than this has died with its publisher.
    pub lease: Duration,
}

/// An outbox event that is ours to deliver until its lease ends.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The columns of the table, which say what they are.
pub struct Claimed {
    pub id: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub event_type: String,
    pub payload: Value,
    pub headers: Value,
    pub attempts: i32,
}

impl Reader {
    /// A reader on `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The provider `alias`, if it is there and not removed.
    pub async fn provider(&self, alias: &str) -> Result<Option<ProviderRow>, Error> {
        let rows = self.store.read(&PROVIDER_BY_ALIAS, &[&alias]).await?;
        Ok(rows.first().map(|row| ProviderRow {
            id: row.get("id"),
            alias: row.get("alias"),
            status: row.get("status"),
            connection: row.get("connection"),
            metadata: row.get("metadata"),
        }))
    }

    /// A provider's routes, by symbol.
    pub async fn routes(&self, provider_id: i64) -> Result<Vec<RouteRow>, Error> {
        let rows = self.store.read(&ROUTES_OF_PROVIDER, &[&provider_id]).await?;
        let route = |row: &Row| RouteRow {
            symbol: row.get("symbol"),
            version: row.get("version"),
            route: row.get("route"),
            metadata: row.get("metadata"),
        };
        Ok(rows.iter().map(route).collect())
    }

    /// The provider's orders that are not completed, oldest first, at most `limit`; columns as the query names them.
    pub async fn open_orders(&self, provider_id: i64, limit: i64) -> Result<Vec<Row>, Error> {
        self.store.read(&OPEN_ORDERS, &[&provider_id, &limit]).await
    }

    /// An order's executions in the order they were traded; columns as the query names them.
    pub async fn executions(&self, order_id: Uuid) -> Result<Vec<Row>, Error> {
        self.store.read(&EXECUTIONS_OF_ORDER, &[&order_id]).await
    }

    /// The newest balance of each asset of the provider; columns as the query names them.
    pub async fn latest_balances(&self, provider_id: i64) -> Result<Vec<Row>, Error> {
        self.store.read(&LATEST_BALANCES, &[&provider_id]).await
    }

    /// Takes the oldest waiting events for this publisher. Deliver them, then mark them: an event whose mark was lost is
    /// delivered again, never dropped.
    pub async fn claim_outbox(&self, lease: OutboxLease, now: Timestamp) -> Result<Vec<Claimed>, Error> {
        let lease_ms = i64::try_from(lease.lease.as_millis()).unwrap_or(i64::MAX);
        let rows = self.store.read(&CLAIM_OUTBOX, &[&lease.limit, &now, &lease_ms]).await?;
        let claimed = |row: &Row| Claimed {
            id: row.get("id"),
            aggregate_type: row.get("aggregate_type"),
            aggregate_id: row.get("aggregate_id"),
            event_type: row.get("event_type"),
            payload: row.get("payload"),
            headers: row.get("headers"),
            attempts: row.get("attempts"),
        };
        Ok(rows.iter().map(claimed).collect())
    }
}
