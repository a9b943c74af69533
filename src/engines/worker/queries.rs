//! worker's questions about time, each a file in `sql/engines/worker/queries/`.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Audit, EventType, FundingSnapshot, Snapshot, Writer};
use crate::engines::event::query;
use crate::engines::{Error, Event, Side};
use crate::refusal::{Kind, Refusal};

const OPEN_ORDERS: Event = query!("worker", "open_orders");
const FILLS_BETWEEN: Event = query!("worker", "fills_between");
const AUDIT_BETWEEN: Event = query!("worker", "audit_between");
const FUNDING_BETWEEN: Event = query!("worker", "funding_between");
const FUNDING_AT: Event = query!("worker", "funding_at");
const LATEST_SNAPSHOT: Event = query!("worker", "latest_snapshot");

/// A period: from `from`, included, to `to`, excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

/// An order that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// Its id.
    pub id: Uuid,
    /// Where.
    pub exchange: String,
    /// What.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// Base units.
    pub quantity_base: i64,
    /// Quote units.
    pub price_quote: Option<i64>,
    /// PENDING, OPEN or PARTIALLY_FILLED.
    pub status: String,
    /// The exchange's id, once known.
    pub exchange_order_id: Option<String>,
    /// The decision it stands for.
    pub idempotency_key: Option<String>,
}

/// A fill, with what its order says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastFill {
    /// Its id.
    pub id: Uuid,
    /// Its order.
    pub order_id: Uuid,
    /// Where.
    pub exchange: String,
    /// What.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
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
}

impl Writer {
    /// Orders that have not ended, oldest first: what a bot that starts has to ask the exchanges about.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrder>, Error> {
        let rows = self.store.read(&OPEN_ORDERS, &[]).await?;
        let order = |row: &Row| {
            Ok(OpenOrder {
                id: row.get("id"),
                exchange: row.get("exchange"),
                symbol: row.get("symbol"),
                side: word(&OPEN_ORDERS, row.get("side"), Side::parse)?,
                quantity_base: row.get("quantity_base"),
                price_quote: row.get("price_quote"),
                status: row.get("status"),
                exchange_order_id: row.get("exchange_order_id"),
                idempotency_key: row.get("idempotency_key"),
            })
        };
        rows.iter().map(order).collect()
    }

    /// Fills of a period, newest first.
    pub async fn fills_between(&self, period: Period, limit: i64) -> Result<Vec<PastFill>, Error> {
        let rows = self.store.read(&FILLS_BETWEEN, &[&period.from, &period.to, &limit]).await?;
        let fill = |row: &Row| {
            Ok(PastFill {
                id: row.get("id"),
                order_id: row.get("order_id"),
                exchange: row.get("exchange"),
                symbol: row.get("symbol"),
                side: word(&FILLS_BETWEEN, row.get("side"), Side::parse)?,
                price_quote: row.get("price_quote"),
                quantity_base: row.get("quantity_base"),
                fee_quote: row.get("fee_quote"),
                fee_asset: row.get("fee_asset"),
                filled_at: row.get("filled_at"),
            })
        };
        rows.iter().map(fill).collect()
    }

    /// Audit entries of one type in a period, newest first.
    pub async fn audit_between(&self, kind: EventType, period: Period, limit: i64) -> Result<Vec<Audit>, Error> {
        let rows = self.store.read(&AUDIT_BETWEEN, &[&kind.as_str(), &period.from, &period.to, &limit]).await?;
        let entry = |row: &Row| {
            Ok(Audit {
                id: row.get("id"),
                event_type: word(&AUDIT_BETWEEN, row.get("event_type"), EventType::parse)?,
                event_data: row.get("event_data"),
                created_at: row.get("created_at"),
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Funding of one market in a period, newest first.
    pub async fn funding_between(
        &self,
        exchange: &str,
        symbol: &str,
        period: Period,
        limit: i64,
    ) -> Result<Vec<FundingSnapshot>, Error> {
        let params: crate::engines::Params<'_> = &[&exchange, &symbol, &period.from, &period.to, &limit];
        let rows = self.store.read(&FUNDING_BETWEEN, params).await?;
        Ok(rows.iter().map(|row| funding(exchange, symbol, row)).collect())
    }

    /// Funding of one market as last seen at or before a moment, looking back one month.
    pub async fn funding_at(
        &self,
        exchange: &str,
        symbol: &str,
        at: Timestamp,
    ) -> Result<Option<FundingSnapshot>, Error> {
        let rows = self.store.read(&FUNDING_AT, &[&exchange, &symbol, &at]).await?;
        Ok(rows.first().map(|row| funding(exchange, symbol, row)))
    }

    /// The state as last reconciled.
    pub async fn latest_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let rows = self.store.read(&LATEST_SNAPSHOT, &[]).await?;
        Ok(rows.first().map(|row| Snapshot {
            id: row.get("id"),
            snapshot: row.get("snapshot"),
            reconciled_at: row.get("reconciled_at"),
        }))
    }
}

fn funding(exchange: &str, symbol: &str, row: &Row) -> FundingSnapshot {
    FundingSnapshot {
        id: row.get("id"),
        exchange: exchange.to_owned(),
        symbol: symbol.to_owned(),
        funding_rate_bps: row.get("funding_rate_bps"),
        mark_price_quote: row.get("mark_price_quote"),
        index_price_quote: row.get("index_price_quote"),
        snapshot_at: row.get("snapshot_at"),
    }
}

/// A word of a column, whose CHECK another version of the schema may have widened.
fn word<T>(query: &Event, text: &str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
    parse(text).ok_or_else(|| {
        let what = format!("{} found the word '{text}', which this version does not know", query.name);
        Error::Refused(Refusal::new(Kind::Server, what, "use the version that wrote it"))
    })
}
