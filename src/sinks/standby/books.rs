//! Order books: price levels summed from resting orders, kept while rows change.
//!
//! Invariants: a book is a function of the rows alone, so a restart rebuilds the same one; prices and quantities are
//! exact decimals, shown with the largest number of decimals among the orders of the level (as SQL's `sum` does). An
//! order whose price or quantity is no number rests nowhere and is quarantined. A crossed book is reported, never mended.

use std::cmp::Reverse;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use imbl::{HashMap, OrdMap};

use super::level::Level;
use super::row::Row;
use super::table::Table;
use crate::model::TableName;
use crate::sinks::numbers;

/// How to read an engine's resting orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookSpec {
    /// The name in `/v1/books/{engine}/{market}`.
    pub engine: String,
    /// The table of orders.
    pub table: TableName,
    /// The columns that name the market, joined by `:`.
    pub market: Vec<String>,
    /// The column of the side.
    pub side: String,
    /// Values of the side that mean a bid.
    pub bid: Vec<String>,
    /// Values of the side that mean an ask.
    pub ask: Vec<String>,
    /// The column of the price; an order without one (NULL) does not rest.
    pub price: String,
    /// The column of what is still to be filled; an order with none left does not rest.
    pub quantity: String,
    /// The column of the state and its values of a resting order; `None` when every row rests.
    pub resting: Option<(String, Vec<String>)>,
}

/// The book of one market.
#[derive(Debug, Clone, Default)]
pub struct Book {
    bids: OrdMap<Reverse<BigDecimal>, Level>,
    asks: OrdMap<BigDecimal, Level>,
}

/// A price level as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLevel {
    /// The price.
    pub price: String,
    /// What rests there.
    pub quantity: String,
    /// In how many orders.
    pub orders: u64,
}

impl Book {
    /// The bids, best (highest) first.
    pub fn bids(&self) -> impl Iterator<Item = ShownLevel> {
        self.bids.iter().map(|(price, level)| level.shown(&price.0))
    }

    /// The asks, best (lowest) first.
    pub fn asks(&self) -> impl Iterator<Item = ShownLevel> {
        self.asks.iter().map(|(price, level)| level.shown(price))
    }

    /// Whether the best bid is at or above the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.bids.get_min(), self.asks.get_min()) {
            (Some((bid, _)), Some((ask, _))) => bid.0 >= *ask,
            _ => false,
        }
    }

    /// Whether nothing rests in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }
}

/// The books of all engines.
#[derive(Debug, Clone, Default)]
pub struct Books {
    engines: OrdMap<String, HashMap<String, Arc<Book>>>,
}

impl Books {
    /// The books of these engines, still empty.
    #[must_use]
    pub fn new(specs: &[BookSpec]) -> Self {
        Self { engines: specs.iter().map(|spec| (spec.engine.clone(), HashMap::new())).collect() }
    }

    /// The engines that have books.
    pub fn engines(&self) -> impl Iterator<Item = &str> {
        self.engines.keys().map(String::as_str)
    }

    /// The markets of an engine where orders rest; `None` when the engine has no books.
    #[must_use]
    pub fn markets(&self, engine: &str) -> Option<Vec<&str>> {
        self.engines.get(engine).map(|markets| markets.keys().map(String::as_str).collect())
    }

    /// A market's book; `None` where nothing rests.
    #[must_use]
    pub fn book(&self, engine: &str, market: &str) -> Option<&Arc<Book>> {
        self.engines.get(engine)?.get(market)
    }

    /// The markets whose book is crossed, as (engine, market).
    #[must_use]
    pub fn crossed(&self) -> Vec<(&str, &str)> {
        let all = self.engines.iter().flat_map(|(e, markets)| markets.iter().map(move |(m, book)| (e, m, book)));
        all.filter(|(_, _, book)| book.is_crossed()).map(|(e, m, _)| (e.as_str(), m.as_str())).collect()
    }

    /// Puts an order into its market's book, or takes it out.
    pub(super) fn change(&mut self, engine: &str, order: &Resting, add: bool) {
        let markets = self.engines.get_mut(engine).expect("made with the specs");
        let book = Arc::make_mut(markets.entry(order.market.clone()).or_default());
        match order.side {
            Side::Bid => {
                let level = book.bids.entry(Reverse(order.price.normalized())).or_default();
                level.change(order, add);
                if level.is_empty() {
                    book.bids.remove(&Reverse(order.price.normalized()));
                }
            }
            Side::Ask => {
                let level = book.asks.entry(order.price.normalized()).or_default();
                level.change(order, add);
                if level.is_empty() {
                    book.asks.remove(&order.price.normalized());
                }
            }
        }
        if book.is_empty() {
            markets.remove(&order.market);
        }
    }

    /// Empties an engine's books.
    pub(super) fn clear(&mut self, engine: &str) {
        self.engines.insert(engine.to_owned(), HashMap::new());
    }
}

/// Which side an order is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Bid,
    Ask,
}

/// An order in the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resting {
    pub(super) market: String,
    pub(super) side: Side,
    pub(super) price: BigDecimal,
    pub(super) quantity: BigDecimal,
}

/// A spec on the columns of a table.
#[derive(Debug, Clone)]
pub(super) struct BookColumns {
    market: Vec<usize>,
    side: usize,
    price: usize,
    quantity: usize,
    state: Option<usize>,
}

impl BookColumns {
    /// `None` when the table lacks one of the columns.
    pub(super) fn find(spec: &BookSpec, table: &Table) -> Option<Self> {
        let column = |name: &str| table.relation().column(name);
        Some(Self {
            market: spec.market.iter().map(|name| column(name)).collect::<Option<_>>()?,
            side: column(&spec.side)?,
            price: column(&spec.price)?,
            quantity: column(&spec.quantity)?,
            state: match &spec.resting {
                Some((name, _)) => Some(column(name)?),
                None => None,
            },
        })
    }

    /// The order in the book that this row is; `None` when it does not rest. `Err`: why it cannot be used.
    pub(super) fn read(&self, spec: &BookSpec, row: &Row<'_>) -> Result<Option<Resting>, String> {
        let listed = |values: &[String], cell: Option<&[u8]>| values.iter().any(|v| Some(v.as_bytes()) == cell);
        if let (Some(state), Some((_, resting))) = (self.state, &spec.resting)
            && !listed(resting, row.cell(state))
        {
            return Ok(None);
        }
        let (Some(price), Some(quantity)) = (row.cell(self.price), row.cell(self.quantity)) else { return Ok(None) };
        let number = |name: &str, text| numbers::decimal(text).map_err(|why| format!("{name} {why}"));
        let (price, quantity) = (number(&spec.price, price)?, number(&spec.quantity, quantity)?);
        if quantity.sign() != bigdecimal::num_bigint::Sign::Plus {
            return Ok(None);
        }
        let side = row.cell(self.side);
        let side = match (listed(&spec.bid, side), listed(&spec.ask, side)) {
            (true, _) => Side::Bid,
            (false, true) => Side::Ask,
            (false, false) => return Err(format!("{} is neither a bid nor an ask", spec.side)),
        };
        let part = |column: &usize| String::from_utf8_lossy(row.cell(*column).unwrap_or_default()).into_owned();
        let market = self.market.iter().map(part).collect::<Vec<_>>().join(":");
        Ok(Some(Resting { market, side, price, quantity }))
    }
}
