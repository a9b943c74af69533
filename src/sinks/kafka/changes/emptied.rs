//! The rows that a table held before it was emptied, for who wants a delete of each.

use std::fmt::Debug;

use crate::model::{Position, TableName};
use crate::pgoutput::Tuple;
use crate::sinks::Error;

/// Finds the rows of a table as they were just before a change.
pub trait RowsBefore: Debug + Send + Sync {
    /// Gives each row of `table` before the change at `position` to `each`, as the old row of a delete.
    fn rows(
        &self,
        table: &TableName,
        position: Position,
        each: &mut dyn FnMut(Tuple<'_>) -> Result<(), Error>,
    ) -> Result<(), Error>;
}
