//! A mark in the log, so that an idle stream reaches a position.

use crate::model::Lsn;
use crate::pg::Session;

use super::error::{Doing, Error};

/// Writes a logical message and waits until it is flushed; returns an LSN that the stream will reach because of it.
///
/// It is transactional: the flush of a commit is waited for, while a non-transactional message may stay in the server's
/// memory on an idle system. `synchronous_commit = local` waits for the server's own disk and no standby.
pub async fn emit_message(session: &Session, prefix: &str, content: &str) -> Result<Lsn, Error> {
    const DOING: &str = "write a mark into the log";
    session.batch_execute("SET synchronous_commit = local").await.doing(DOING)?;
    session.execute("SELECT pg_logical_emit_message(true, $1, $2)", &[&prefix, &content]).await.doing(DOING)?;
    let row = session.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await.doing(DOING)?;
    row.get::<_, String>(0).parse().map_err(|_| Error::Retry("the server's answer is not an LSN".into()))
}
