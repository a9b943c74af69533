//! Deleting what nobody needs any more, in small transactions.

use jiff::Timestamp;

use crate::engines::event::query;
use crate::engines::{Error, Event, Store};

const PURGE_OUTBOX: Event = query!("meltica", "purge_outbox");
const PURGE_BALANCES: Event = query!("meltica", "purge_balances");

/// Rows a transaction of a purge deletes at most, so that writers never wait long.
pub const PURGE_BATCH_ROWS: i64 = 1_000;

/// Deletes outbox events that were delivered before `before`. Returns how many (not counting a batch whose answer was
/// lost).
pub async fn purge_outbox(store: &Store, before: Timestamp) -> Result<i64, Error> {
    purge(store, &PURGE_OUTBOX, before).await
}

/// Deletes balance snapshots older than `before`, except the newest of each provider and asset. Returns how many.
pub async fn purge_balances(store: &Store, before: Timestamp) -> Result<i64, Error> {
    purge(store, &PURGE_BALANCES, before).await
}

async fn purge(store: &Store, query: &Event, before: Timestamp) -> Result<i64, Error> {
    let mut total = 0;
    loop {
        let rows = store.read(query, &[&before, &PURGE_BATCH_ROWS]).await?;
        let purged: i64 = rows.first().map_or(0, |row| row.get("purged"));
        total += purged;
        if purged < PURGE_BATCH_ROWS {
            return Ok(total);
        }
    }
}
