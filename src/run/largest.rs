//! The largest tables, as refusals and alarms name them.

use crate::model::TableName;

/// How many are named.
const SHOWN: usize = 3;

/// `shop.orders 12 MiB, ..`: the largest first, of tables and their bytes.
pub(super) fn largest<'a>(tables: impl Iterator<Item = (&'a TableName, u64)>) -> String {
    let mut tables: Vec<_> = tables.collect();
    tables.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let shown = tables.iter().take(SHOWN).map(|(name, bytes)| format!("{name} {} MiB", bytes >> 20));
    shown.collect::<Vec<_>>().join(", ")
}
