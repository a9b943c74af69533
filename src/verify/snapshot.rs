//! Postgres as of exactly one position: a temporary slot exports a snapshot, a session adopts it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Void;
use crate::model::{Lsn, TableName};
use crate::pg::{self, Address, Purpose, Session};
use crate::source::publication::{self, Publication};
use crate::source::{self, slot};

/// A session that sees exactly the commits with an end at or below `point`.
pub(super) struct Snapshot {
    pub point: Lsn,
    pub session: Session,
    publication: Option<Publication>,
}

/// Name of the temporary slot: the process id keeps two verifiers apart, the number their attempts.
fn slot_name() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    format!("pgtape_verify_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

impl Snapshot {
    /// Makes the slot, adopts its snapshot, and drops the slot again: the adopted snapshot stays. Gives up after `patience`,
    /// naming the processes whose open transactions it waited for.
    pub async fn export(
        address: &Address,
        asking: &Session,
        publication: &str,
        patience: Duration,
    ) -> Result<Self, Void> {
        let session = pg::connect(address, Purpose::Verify).await?;
        let (mut wire, version) = source::server::open(address, asking).await?;
        let Some(made) = slot::create_within(&mut wire, asking, version, &slot_name(), patience).await? else {
            let pids: Vec<String> = slot::blockers(asking).await?.iter().map(ToString::to_string).collect();
            return Err(Void::Again(format!(
                "a snapshot waits for transactions that are open (pids {}); end them, or try again later",
                pids.join(", ")
            )));
        };
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            pg::literal(&made.snapshot)
        );
        session.batch_execute(&begin).await?;
        drop(wire);
        let publication = publication::read(&session, version, publication).await?;
        Ok(Self { point: made.point, session, publication })
    }

    /// The row filter of a table: rows it leaves out are not captured.
    pub fn filter(&self, table: &TableName) -> Option<&str> {
        let published = self.publication.as_ref()?.tables.iter().find(|published| published.table == *table)?;
        published.filter.as_deref()
    }
}
