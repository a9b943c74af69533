//! Postgres as of exactly one position: a temporary slot exports a snapshot, a session adopts it.

use std::time::Duration;

use tokio::time::timeout;

use super::Void;
use crate::model::Lsn;
use crate::pg::{self, Address, Purpose, Session};
use crate::source;

/// A session that sees exactly the commits with an end at or below `point`.
pub(super) struct Snapshot {
    pub point: Lsn,
    pub session: Session,
}

/// Name of the temporary slot; the process id keeps two verifiers apart.
fn slot_name() -> String {
    format!("pgtape_verify_{}", std::process::id())
}

impl Snapshot {
    /// Makes the slot, adopts its snapshot, and drops the slot again: the adopted snapshot stays. Gives up after `patience`,
    /// naming the processes whose open transactions it waited for.
    pub async fn export(address: &Address, asking: &Session, patience: Duration) -> Result<Self, Void> {
        let session = pg::connect(address, Purpose::Verify).await?;
        let (mut wire, version) = source::server::open(address, asking).await?;
        let made = timeout(patience, source::slot::create(&mut wire, version, &slot_name(), true)).await;
        let Ok(made) = made else {
            let pids: Vec<String> = source::slot::blockers(asking).await?.iter().map(ToString::to_string).collect();
            return Err(Void::Again(format!(
                "a snapshot waits for transactions that are open (pids {}); end them, or try again later",
                pids.join(", ")
            )));
        };
        let made = made?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            pg::literal(&made.snapshot)
        );
        session.batch_execute(&begin).await?;
        drop(wire);
        Ok(Self { point: made.point, session })
    }
}
