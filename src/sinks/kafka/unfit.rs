//! Why a row has no Kafka form.

use std::sync::Arc;

/// A value cannot be written in the configured form. Holds no value: rows do not belong into logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} {reason}")]
pub struct Unfit {
    /// The column.
    pub column: Arc<str>,
    /// Continues a sentence that begins with the column: "is infinite".
    pub reason: &'static str,
}
