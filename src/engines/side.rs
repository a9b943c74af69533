//! Which side of a trade.

use serde::{Deserialize, Serialize};

/// Buying or selling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Pays quote, takes base.
    Buy,
    /// Pays base, takes quote.
    Sell,
}

impl Side {
    /// `buy` or `sell`: perplex, meltica.
    #[must_use]
    pub const fn lower(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }

    /// `BUY` or `SELL`: openmatch, worker.
    #[must_use]
    pub const fn upper(self) -> &'static str {
        match self {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        }
    }

    /// The side of the counterparty.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// Reads either spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Side> {
        [Side::Buy, Side::Sell].into_iter().find(|side| text.eq_ignore_ascii_case(side.lower()))
    }
}
