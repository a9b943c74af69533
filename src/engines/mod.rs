//! The synchronous writers of the five engines: what a real engine links, or copies the SQL of.
//!
//! One business event is one SQL file (`sql/engines/<schema>/events/*.sql`), one statement, one transaction. A writer
//! returns when Postgres has committed, and every event may be repeated: its key (or `ledger.applied`) makes the repeat a
//! no-op, so a lost answer is simply asked for again.
//!
//! Invariant: an `Ok` of a writer means committed; an [`Error::Unanswered`] means "not known", never "not committed".
//! Knows nothing of replication, the tape or the sinks.

pub mod aether;
mod amount;
mod error;
mod event;
pub mod meltica;
pub mod metrics;
pub mod migrate;
pub mod openmatch;
pub mod perplex;
pub mod pool;
pub mod retry;
mod side;
mod store;
pub mod worker;

pub use amount::{Amount, Inexact, NotAnAmount, Numeric};
pub use error::Error;
pub use event::Event;
pub use side::Side;
pub use store::{Committed, Options, Params, Store, Written};

use std::fmt;
use std::str::FromStr;

use crate::refusal::{Kind, Refusal};

/// One of the five engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The edge of a perpetual-futures exchange.
    Perplex,
    /// The batch-matching exchange.
    Openmatch,
    /// The MEV arbitrage engine and its executor.
    Aether,
    /// The multi-venue gateway.
    Meltica,
    /// The trading bot.
    Worker,
}

impl Name {
    /// All five, in the order they are listed everywhere.
    pub const ALL: [Name; 5] = [Name::Perplex, Name::Openmatch, Name::Aether, Name::Meltica, Name::Worker];

    /// The name, which is also its schema.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Name::Perplex => "perplex",
            Name::Openmatch => "openmatch",
            Name::Aether => "aether",
            Name::Meltica => "meltica",
            Name::Worker => "worker",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.schema())
    }
}

impl FromStr for Name {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Name::ALL.into_iter().find(|name| name.schema() == text).ok_or_else(|| {
            let known: Vec<&str> = Name::ALL.iter().map(|name| name.schema()).collect();
            Refusal::new(
                Kind::Usage,
                format!("there is no engine '{text}'"),
                format!("choose from {}", known.join(",")),
            )
        })
    }
}
