//! What the screen shows: the service's `/v1/status` and books, and the day's figures from Postgres. A part that does not
//! answer (it may just have been killed) leaves its place empty.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;

use crate::engines::Name;
use crate::pg::{self, Address, Purpose, Session};
use crate::sandbox::{Error, get};

use super::Book;
use super::cast::Cast;

/// The newest day of each engine, over all accounts and markets, in the asset with the most fills. Wei are shown as ETH.
const DAY: &str = "SELECT DISTINCT ON (engine) engine, CASE asset WHEN 'wei' THEN 'ETH' ELSE asset END,
    round(sum(volume) / unit, 6)::text, round(sum(fees) / unit, 6)::text, round(sum(net) / unit, 6)::text,
    sum(fill_count)::text
    FROM ledger.pnl_daily, LATERAL (SELECT CASE asset WHEN 'wei' THEN 1e18 ELSE 1 END AS unit) AS shown
    GROUP BY engine, day, asset, unit ORDER BY engine, day DESC, sum(fill_count) DESC NULLS LAST, asset";

/// One look.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// `/v1/status`; `null` while the service is down.
    pub(super) status: Value,
    /// Changed rows a second by schema, since the last look.
    pub(super) rates: BTreeMap<String, u64>,
    /// Rows by schema.
    pub(super) rows: BTreeMap<String, u64>,
    /// By engine.
    pub(super) days: BTreeMap<String, Day>,
    /// By engine: market, best bid, best ask.
    pub(super) tops: BTreeMap<String, Top>,
}

/// An engine's figures of the day; `None` is not computed, or not there.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    /// The unit of the money.
    pub(super) asset: String,
    pub(super) volume: Option<String>,
    pub(super) fees: Option<String>,
    pub(super) net: Option<String>,
    pub(super) fills: Option<String>,
}

/// The best prices of the market with the most orders.
#[derive(Debug, Clone)]
pub(super) struct Top {
    pub(super) market: String,
    pub(super) bid: String,
    pub(super) ask: String,
}

/// Looks again and again.
pub(super) struct View {
    service: String,
    address: Address,
    session: Option<Session>,
    books: Vec<Book>,
    changes: BTreeMap<String, u64>,
    changes_at: Instant,
}

impl View {
    pub(super) fn new(cast: &Cast, books: Vec<Book>) -> Result<Self, Error> {
        Ok(Self {
            service: cast.service.service().http(""),
            address: cast.postgres.url().parse()?,
            session: None,
            books,
            changes: BTreeMap::new(),
            changes_at: Instant::now(),
        })
    }

    pub(super) fn look(&mut self, runtime: &Handle) -> Look {
        let mut look = Look { status: self.ask("/v1/status").unwrap_or_default(), ..Look::default() };
        self.count(&mut look);
        if runtime.block_on(self.look_at_postgres(&mut look)).is_err() {
            self.session = None;
        }
        for top in look.tops.iter_mut() {
            let market = percent_encoding::utf8_percent_encode(&top.1.market, percent_encoding::NON_ALPHANUMERIC);
            if let Some(book) = self.ask(&format!("/v1/books/{}/{market}?level=1", top.0)) {
                let price = |side: &str| book[side][0][0].as_str().unwrap_or("-").to_owned();
                (top.1.bid, top.1.ask) = (price("bids"), price("asks"));
            }
        }
        look
    }

    fn ask(&self, path: &str) -> Option<Value> {
        let reply = get(&format!("{}{path}", self.service)).ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Rows and changes by schema, from the status's tables.
    fn count(&mut self, look: &mut Look) {
        let mut changes: BTreeMap<String, u64> = BTreeMap::new();
        for table in look.status["tables"].as_array().into_iter().flatten() {
            let Some((schema, _)) = table["table"].as_str().and_then(|name| name.split_once('.')) else { continue };
            if schema.parse::<Name>().is_err() {
                continue; // Our own heartbeat.
            }
            let number = |name: &str| table[name].as_u64().unwrap_or_default();
            *look.rows.entry(schema.to_owned()).or_default() += number("rows");
            *changes.entry(schema.to_owned()).or_default() += number("inserts") + number("updates") + number("deletes");
        }
        if changes.is_empty() {
            return;
        }
        let elapsed_ms = u64::try_from(self.changes_at.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        for (schema, now) in &changes {
            let before = self.changes.get(schema).copied().unwrap_or(*now);
            look.rates.insert(schema.clone(), now.saturating_sub(before).saturating_mul(1000) / elapsed_ms);
        }
        (self.changes, self.changes_at) = (changes, Instant::now());
    }

    async fn look_at_postgres(&mut self, look: &mut Look) -> Result<(), pg::Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => pg::connect(&self.address, Purpose::Control).await?,
        };
        for row in session.query(DAY, &[]).await? {
            let (volume, fees, net, fills) = (row.get(2), row.get(3), row.get(4), row.get(5));
            look.days.insert(row.get(0), Day { asset: row.get(1), volume, fees, net, fills });
        }
        for book in &self.books {
            let market: Vec<String> = book.market.iter().map(|column| pg::identifier(column)).collect();
            let sql = format!(
                "SELECT concat_ws(':', {}) FROM {} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
                market.join(", "),
                pg::table(&book.table)
            );
            if let Some(row) = session.query_opt(&sql, &[]).await? {
                let top = Top { market: row.get(0), bid: "-".into(), ask: "-".into() };
                look.tops.insert(book.engine.clone(), top);
            }
        }
        self.session = Some(session);
        Ok(())
    }
}
