//! Roll-ups: aggregates in Postgres, kept exactly once, from contributions before and after each change.

mod contract;

pub use contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Unusable, Why};
