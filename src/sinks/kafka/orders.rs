//! What an operator can tell a Kafka sink. Each order is one Kafka transaction of its own, with the sink's transactional
//! id: it is obeyed by the running service, or by a command while none runs.

use std::fmt;

use serde::Serialize;

use crate::model::{Lsn, Position, TableName};

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Produce everything after `to` (again), or nothing up to there.
    Move {
        /// The commit.
        to: Lsn,
    },
    /// Forget progress and notes: the sink begins anew, as `initial` says.
    Reset,
    /// A topic that is gone may be gone: it is made again when there is something for it.
    Forget {
        /// The topic.
        topic: String,
    },
    /// Let topics that have stopped go on.
    Resume {
        /// That of one table; `None` for all.
        table: Option<TableName>,
        /// Without what they are owed since they stopped.
        skip: bool,
    },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Move { to } => write!(f, "move to {to}"),
            Order::Reset => f.write_str("reset"),
            Order::Forget { topic } => write!(f, "forget {topic}"),
            Order::Resume { table, skip } => {
                f.write_str("resume")?;
                table.iter().try_for_each(|table| write!(f, " {table}"))?;
                f.write_str(if *skip { " without what it missed" } else { "" })
            }
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Obeyed {
    /// Where the sink stood; null when it had no progress.
    pub before: Option<Position>,
    /// Where it stands now; null when it begins anew.
    pub after: Option<Position>,
    /// The tables whose topics go on.
    pub resumed: Vec<TableName>,
}
