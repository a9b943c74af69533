//! Postgres as of exactly one position: a temporary slot exports a snapshot, a session adopts it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::Void;
use crate::model::{Lsn, TableName};
use crate::pg::{self, Address, Purpose, Session};
use crate::sinks::standby::View;
use crate::source;

/// The files of a table and of its partitions. Another set means that it was truncated or rewritten.
pub(super) type Filenodes = BTreeMap<TableName, Vec<(u32, u32)>>;

/// A session that sees exactly the commits with an end at or below `point`.
pub(super) struct Snapshot {
    pub point: Lsn,
    pub session: Session,
    pub filenodes: Filenodes,
}

/// Name of the temporary slot; the process id keeps two verifiers apart.
fn slot_name() -> String {
    format!("pgtape_verify_{}", std::process::id())
}

impl Snapshot {
    /// Makes the slot, adopts its snapshot, and drops the slot again: the adopted snapshot stays. Gives up after `patience`,
    /// naming the processes whose open transactions it waited for.
    pub async fn export(address: &Address, asking: &Session, patience: Duration) -> Result<Self, Void> {
        let before = all_filenodes(asking).await?;
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
        Ok(Self { point: made.point, session, filenodes: before })
    }

    /// Keeps of the files those of the tables in `view`.
    pub fn with_filenodes(mut self, view: &View) -> Result<Self, Void> {
        self.filenodes.retain(|name, _| view.table(name).is_some());
        Ok(self)
    }
}

/// The files of the view's tables now.
pub(super) async fn filenodes(session: &Session, view: &View) -> Result<Filenodes, Void> {
    let mut files = all_filenodes(session).await?;
    files.retain(|name, _| view.table(name).is_some());
    Ok(files)
}

const FILENODES: &str = "SELECT n.nspname::text, c.relname::text, t.relid::oid, pg_relation_filenode(t.relid)::oid \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, \
     LATERAL (SELECT c.oid AS relid WHERE c.relkind = 'r' \
              UNION ALL SELECT relid FROM pg_partition_tree(c.oid) WHERE c.relkind = 'p' AND isleaf) t \
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     ORDER BY 1, 2, 3";

async fn all_filenodes(session: &Session) -> Result<Filenodes, Void> {
    let mut files = Filenodes::new();
    for row in session.query(FILENODES, &[]).await? {
        let name = TableName::new(row.get(0), row.get(1));
        let file: Option<u32> = row.get(3);
        files.entry(name).or_default().push((row.get(2), file.unwrap_or(0)));
    }
    Ok(files)
}
