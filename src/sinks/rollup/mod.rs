//! Roll-ups: aggregates in Postgres, kept exactly once, from contributions before and after each change.

pub mod by_hand;
mod ceiling;
mod contract;
mod deltas;
mod mailbox;
mod maintain;
pub mod rebuild;
mod rewind;
mod sql;
#[cfg(test)]
mod tests;
mod writer;

pub use contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Unusable, Why};
pub use deltas::{Deltas, Sum};
pub use mailbox::{Glance, Mailbox, Mailboxes};
pub use maintain::{Effect, Maintainer, Point, TOUCHED_MAX};
pub use rewind::{Replaced, Rewind, replace};
pub use sql::Statements;
pub use writer::{POSITION_AGE_MAX, Writer};
