//! Everything that can be known, checked and made before the tape is opened: server, tables, publication.

use std::path::Path;

use crate::model::{Lsn, TableName};
use crate::pg::{self, Purpose, Session};
use crate::refusal::Refusal;
use crate::tape::{Origin, Recovered};

use super::catalog::{self, TableSize};
use super::error::{Doing, Error};
use super::heartbeat::{self, Seen};
use super::plan::{Plan, TapeState, plan};
use super::publication::{self, Publication};
use super::server::{self, Server};
use super::slot::{self, Slot};
use super::tables::{self, CatalogTable};
use super::{Settings, TableStatus};

/// A server that is fit to be read.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// As configured.
    pub settings: Settings,
    /// The server.
    pub server: Server,
    /// The publication, as it is once [`Prepared::align`] has been called.
    pub publication: Publication,
    change: publication::Change,
    /// The captured tables; partitioned ones by their root.
    pub tables: Vec<CatalogTable>,
    /// The slot, if it exists.
    pub slot: Option<Slot>,
}

/// Asks the server and checks it; changes nothing. Fails at once where the server cannot be reached.
pub async fn prepare(settings: &Settings) -> Result<Prepared, Error> {
    let session = pg::connect(&settings.address, Purpose::Control).await.doing("connect")?;
    let mut wire = server::connect_wire(&settings.address, &server::asking()).await?;
    let server = server::ask(&mut wire, &session).await?;
    server.check()?;
    let (tables, change) = capture(settings, &session, &server).await?;
    let slot = slot::show(&session, &settings.slot).await?;
    let publication = change.result.clone();
    let prepared = Prepared { settings: settings.clone(), server, publication, change, tables, slot };
    for alarm in prepared.alarms() {
        tracing::warn!("{alarm}");
    }
    Ok(prepared)
}

/// The tables, checked, and what their publication needs. The heartbeat is captured where it exists and may be published.
async fn capture(
    settings: &Settings,
    session: &Session,
    server: &Server,
) -> Result<(Vec<CatalogTable>, publication::Change), Error> {
    let catalog = tables::read_catalog(session).await?;
    let mut wanted = tables::choose(&catalog, &settings.tables, &settings.excluded)?;
    let (version, name) = (server.version_number, &settings.publication);
    let found = publication::read(session, version, name).await?;
    let beat = catalog.iter().find(|table| table.name == heartbeat::table() && table.readable);
    if let Some(beat) = beat {
        let published = found.as_ref().is_some_and(|p| p.has(&beat.name));
        // Made by the owner without it: then it stays without it.
        if published || found.is_none() || may_publish(session, beat.oid).await? {
            wanted.push(beat);
        }
    }
    if found.as_ref().is_none_or(|publication| publication.updates) {
        tables::check(&catalog, &wanted, settings.address.user())?;
    }
    let change = publication::compare(found.as_ref(), name, &wanted)?;
    Ok((wanted.into_iter().cloned().collect(), change))
}

async fn may_publish(session: &Session, table: u32) -> Result<bool, Error> {
    let sql = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = $1";
    Ok(session.query_one(sql, &[&table]).await.doing("read the owner of the heartbeat")?.get(0))
}

impl Prepared {
    /// What the tape is opened with.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            system_id: self.server.system_id,
            timeline: self.server.timeline,
            database_oid: self.server.database_oid,
            fingerprint: self.publication.fingerprint(),
            slot: self.settings.slot.clone(),
        }
    }

    /// What the slot has been told; zero without one that is ours. Proof for the tape's recovery.
    #[must_use]
    pub fn confirmed(&self) -> Lsn {
        let ours = |slot: &&Slot| slot.database.as_ref() == Some(&self.server.database) && !slot.temporary;
        self.slot.as_ref().filter(ours).map_or(Lsn::ZERO, |slot| slot.confirmed)
    }

    /// Contract 4: what to do with this server and the tape that was found, or why not to go on.
    pub fn plan(&self, recovered: &Recovered) -> Result<Plan, Refusal> {
        let tape = tape_state(recovered, &self.settings.state_dir)?;
        plan(&self.server, self.slot.as_ref(), &self.settings.slot, &tape)
    }

    /// Makes the publication or brings it in line. To be called when the tape is locked and [`Prepared::plan`] agreed: a
    /// start that is refused changes nothing on the server.
    pub async fn align(&self) -> Result<(), Error> {
        let session = pg::connect(&self.settings.address, Purpose::Control).await.doing("connect")?;
        self.change.apply(&session, self.server.version_number).await
    }

    /// Whether [`Prepared::align`] would change a publication that is there.
    #[must_use]
    pub fn would_change(&self) -> bool {
        self.change.exists && !self.change.statements.is_empty()
    }

    /// What an operator should know and nothing has to stop for.
    #[must_use]
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = self.server.alarms();
        if !self.publication.updates {
            let name = &self.publication.name;
            alarms.push(format!("publication {name} does not publish updates and deletes: they are not seen"));
        }
        alarms
    }

    /// The sizes of the captured tables, estimated without reading them.
    pub async fn estimate(&self) -> Result<Vec<TableSize>, Error> {
        let session = pg::connect(&self.settings.address, Purpose::Control).await.doing("connect")?;
        let tables: Vec<(u32, TableName)> = self.tables.iter().map(|t| (t.oid, t.name.clone())).collect();
        catalog::estimate(&session, &tables).await
    }

    /// The names of what the publication publishes.
    pub(super) fn published(&self) -> Vec<TableName> {
        self.publication.tables.iter().map(|p| p.table.clone()).collect()
    }

    /// The captured tables, for the status.
    pub(super) fn table_statuses(&self) -> Vec<TableStatus> {
        let status = |t: &CatalogTable| TableStatus { table: t.name.clone(), identity: t.identity };
        self.tables.iter().map(status).collect()
    }
}

fn tape_state(recovered: &Recovered, state_dir: &Path) -> Result<TapeState, Refusal> {
    // A tape that has copied nothing yet knows no heartbeat: what is remembered is of a tape before it.
    let heartbeat = if recovered.epoch == 0 { None } else { Seen::load(state_dir)?.newest_saved() };
    Ok(TapeState {
        end: recovered.end,
        epoch: recovered.epoch,
        origin: recovered.origin.clone(),
        copy_pending: recovered.copy_pending.as_ref().map(|intent| intent.slot.clone()),
        heartbeat,
    })
}
