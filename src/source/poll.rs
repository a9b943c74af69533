//! What is asked of the server beside the stream: the slot, how far the log is, settings that changed, tables that changed.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::model::{Lsn, TableName};
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};

use super::catalog::{self, Described};
use super::error::{Doing, Error};
use super::first_copy::list;
use super::prepare::Prepared;
use super::tables::{self, CatalogTable};
use super::{StatusHandle, TableStatus, publication, slot};

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
                        Ok(described) => {
                            show_tables(&prepared, open, &described, &status).await?;
                            Ok(described)
                        }
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
    let left_out: Vec<&TableName> = prepared.tables.iter().map(|t| &t.name).filter(|t| !names.contains(t)).collect();
    let there = exist(session, &left_out).await?;
    if !there.is_empty() {
        let what = format!("publication {name} does not publish {} any more", list(&there));
        return Err(Refusal::new(Kind::Server, what, again).into());
    }
    catalog::describe(session, version, name, &names).await
}

/// Those of the tables that exist.
async fn exist(session: &Session, tables: &[&TableName]) -> Result<Vec<TableName>, Error> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let schemas: Vec<&str> = tables.iter().map(|t| &*t.schema).collect();
    let names: Vec<&str> = tables.iter().map(|t| &*t.name).collect();
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY 1, 2";
    let rows = session.query(sql, &[&schemas, &names]).await.doing("look for tables that are not published")?;
    Ok(rows.iter().map(|row| TableName::new(row.get(0), row.get(1))).collect())
}

/// What is captured now, and what of it an operator should know.
async fn show_tables(
    prepared: &Prepared,
    session: &Session,
    described: &[Described],
    status: &StatusHandle,
) -> Result<(), Error> {
    let (settings, catalog) = (&prepared.settings, tables::read_catalog(session).await?);
    let is_published = |table: &TableName| described.iter().any(|d| d.facts.relation.table == *table);
    let (published, rest): (Vec<&CatalogTable>, Vec<_>) = catalog.iter().partition(|table| is_published(&table.name));
    // A pattern that has come to match nothing is no reason to stop.
    let asked_for = tables::choose(&catalog, &settings.tables, &settings.excluded).unwrap_or_default();
    let left_out: Vec<&CatalogTable> = asked_for.into_iter().filter(|table| rest.contains(table)).collect();
    let mut alarms = Vec::new();
    if prepared.publication.updates
        && let Err(refusal) = tables::check(&catalog, &published, settings.address.user())
    {
        alarms.push(refusal.to_string());
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|table| table.name.to_string()).collect();
        let what = format!("{} matches the tables asked for and is not captured", names.join(", "));
        alarms.push(format!("{what}: start pgtape again, or add it to publication {}", settings.publication));
    }
    let shown = |table: &&CatalogTable| TableStatus { table: table.name.clone(), identity: table.identity };
    status.update(|s| {
        for alarm in alarms.iter().filter(|alarm| !s.table_alarms.contains(alarm)) {
            tracing::warn!("{alarm}");
        }
        s.table_alarms = alarms;
        s.tables = published.iter().map(shown).collect();
    });
    Ok(())
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
