//! What is asked of the server beside the stream: the slot, how far the log is, settings that changed, tables that changed.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::model::{Lsn, TableName};
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};

use super::catalog::{self, Described};
use super::error::{Doing, Error};
use super::prepare::Prepared;
use super::{StatusHandle, publication, slot};

/// The slot and the end of the log are looked at this often.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// The catalog and the settings are looked at once in so many looks.
const LOOKS_A_CATALOG: u32 = 10;

/// What the catalog says of the published tables, or why the stream must not go on.
pub(super) type Looked = Result<Vec<Described>, Refusal>;

/// Keeps the status current until `cancel`; what the catalog says goes to `catalog`.
pub(super) async fn poll(
    prepared: Prepared,
    status: StatusHandle,
    catalog: mpsc::Sender<Looked>,
    cancel: CancellationToken,
) {
    let mut session: Option<Session> = None;
    let mut looks = 0;
    loop {
        if session.is_none() {
            session = pg::connect(&prepared.settings.address, Purpose::Control).await.ok();
        }
        if let Some(open) = &session {
            looks += 1;
            let looked = async {
                look(&prepared, open, &status).await?;
                if looks % LOOKS_A_CATALOG == 0 {
                    let looked = match described(&prepared, open).await {
                        Ok(described) => Ok(described),
                        Err(Error::Refused(refusal)) => Err(refusal),
                        Err(error) => return Err(error),
                    };
                    let _ = catalog.try_send(looked); // Still busy with the last: the next look will do.
                    settings(&prepared, open, &status).await?;
                }
                Ok::<(), Error>(())
            };
            if let Err(error) = looked.await {
                tracing::debug!(%error, "look at the server");
                session = None;
            }
        }
        if cancel.run_until_cancelled(tokio::time::sleep(STATUS_EVERY)).await.is_none() {
            return;
        }
    }
}

async fn look(prepared: &Prepared, session: &Session, status: &StatusHandle) -> Result<(), Error> {
    let slot = slot::show(session, &prepared.settings.slot).await?;
    let sql = "SELECT pg_current_wal_flush_lsn()::text";
    let end: String = session.query_one(sql, &[]).await.doing("read the end of the log")?.get(0);
    let end: Lsn = end.parse().map_err(|_| Error::Retry("the server's answer is not an LSN".into()))?;
    status.update(|s| {
        s.server_end = end;
        s.slot = slot.map(|slot| slot.status());
    });
    Ok(())
}

/// The published tables as the catalog has them now. Refuses a publication that does not send what it did: the stream
/// itself would only stay silent (Postgres 18 streams without one, too).
pub(super) async fn described(prepared: &Prepared, session: &Session) -> Result<Vec<Described>, Error> {
    let (version, name) = (prepared.server.version_number, &prepared.settings.publication);
    let again =
        "start pgtape again: it puts the publication right, or says the SQL for its owner, and copies what was missed";
    let found = publication::read(session, version, name).await?.ok_or_else(|| {
        let what = format!("publication {name} is gone: changes of its tables are not sent any more");
        Refusal::new(Kind::Server, what, again)
    })?;
    if !found.sends_as(&prepared.publication) {
        let what = format!("the options of publication {name} were changed: not every change is sent as before");
        return Err(Refusal::new(Kind::Server, what, again).into());
    }
    let names: Vec<TableName> = found.tables.into_iter().map(|p| p.table).collect();
    catalog::describe(session, version, name, &names).await
}

/// Settings that an operator may have changed while we run: said, not acted upon (leaving would make commits hang).
async fn settings(prepared: &Prepared, session: &Session, status: &StatusHandle) -> Result<(), Error> {
    let sql = "SELECT current_setting('synchronous_standby_names'), current_setting('max_slot_wal_keep_size')";
    let row = session.query_one(sql, &[]).await.doing("read the settings")?;
    let mut now = prepared.clone();
    (now.server.synchronous_standby_names, now.server.max_slot_wal_keep_size) = (row.get(0), row.get(1));
    let alarms = now.alarms();
    status.update(|s| {
        for alarm in alarms.iter().filter(|alarm| !s.alarms.contains(alarm)) {
            tracing::warn!("{alarm}");
        }
        s.alarms = alarms.clone();
    });
    Ok(())
}
