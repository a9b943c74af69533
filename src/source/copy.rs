//! Copying tables under an exported snapshot: `COPY` rows become the Insert messages Postgres would have sent.
//!
//! Invariants: all jobs see the one snapshot; memory is a few batches, however large a table is; the copy is void if a
//! table was truncated or rewritten meanwhile (neither is MVCC-safe: the copy reads no rows and the stream brings none).
//! Knows nothing of the tape: batches go to whoever asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::model::TableName;
use crate::pg::{self, Address, Error as PgError, Purpose, Session, SqlState, Wire, WireOptions};
use crate::pgoutput::insert_from_copy_text;
use crate::refusal::{Kind, Refusal};

use super::Settings;
use super::catalog::{self, Described};
use super::error::{Doing, Error};
use super::server::table_changed;

/// A batch is handed over at this size, bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that wait to be written.
const BATCHES_MAX: usize = 4;

/// Messages to be written, one after the other in `bytes`.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many of them are rows.
    pub rows: u64,
}

impl Batch {
    /// The messages.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len());
    }
}

/// Why a copy did not end.
#[derive(Debug)]
pub(super) enum CopyError {
    /// A table changed under it: begin again.
    Void(String),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for CopyError {
    fn from(error: Error) -> Self {
        CopyError::Failed(error)
    }
}

/// A copy that is running; dropping it ends its sessions.
pub(super) struct Copying {
    batches: mpsc::Receiver<Result<Batch, CopyError>>,
    _jobs: JoinSet<()>,
}

impl Copying {
    /// The next batch, in no order between tables; `None` after the last. May be cancelled.
    pub async fn next(&mut self) -> Option<Result<Batch, CopyError>> {
        self.batches.recv().await
    }
}

/// What is copied, and when.
pub(super) struct Scene {
    /// The tables as they are under the snapshot.
    pub tables: Vec<Described>,
    /// The server's clock, microseconds since the Unix epoch.
    pub time_us: i64,
}

/// Describes the published tables of these names under the snapshot.
pub(super) async fn look(
    settings: &Settings,
    version: u32,
    snapshot: &str,
    names: &[TableName],
) -> Result<Scene, Error> {
    let session = pg::connect(&settings.address, Purpose::Copy).await.doing("connect for the copy")?;
    session.batch_execute(&import(snapshot)).await.doing("use the exported snapshot")?;
    let tables = catalog::describe(&session, version, &settings.publication, names).await?;
    let clock = "SELECT (extract(epoch FROM now()) * 1000000)::bigint";
    let time_us = session.query_one(clock, &[]).await.doing("read the server's clock")?.get(0);
    Ok(Scene { tables, time_us })
}

/// Starts copying the tables under the snapshot, on sessions of its own.
pub(super) fn start(settings: &Settings, snapshot: &str, tables: &[Described]) -> Copying {
    let (sender, batches) = mpsc::channel(BATCHES_MAX);
    let queue = Arc::new(Mutex::new(tables.iter().cloned().collect::<VecDeque<_>>()));
    let mut jobs = JoinSet::new();
    for _ in 0..settings.copy_jobs.clamp(1, tables.len().max(1)) {
        let job = Job {
            address: settings.address.clone(),
            snapshot: snapshot.to_owned(),
            queue: queue.clone(),
            sender: sender.clone(),
        };
        jobs.spawn(async move {
            if let Err(error) = job.run().await {
                let _ = job.sender.send(Err(error)).await; // Nobody listens: the copy was given up.
            }
        });
    }
    Copying { batches, _jobs: jobs }
}

struct Job {
    address: Address,
    snapshot: String,
    queue: Arc<Mutex<VecDeque<Described>>>,
    sender: mpsc::Sender<Result<Batch, CopyError>>,
}

impl Job {
    async fn run(&self) -> Result<(), CopyError> {
        let options = WireOptions {
            purpose: Purpose::Copy,
            replication: false,
            receive_buffer_bytes: None,
            settings: Vec::new(),
        };
        let mut wire = Wire::connect(&self.address, &options).await.doing("connect for the copy")?;
        for statement in import(&self.snapshot).split_inclusive(';') {
            wire.query(statement).await.doing("use the exported snapshot")?;
        }
        loop {
            let next = self.queue.lock().expect("nobody panics with it").pop_front();
            let Some(table) = next else { return Ok(()) };
            self.copy(&mut wire, &table).await?;
        }
    }

    async fn copy(&self, wire: &mut Wire, table: &Described) -> Result<(), CopyError> {
        let relation = &table.facts.relation;
        let doing = format!("copy {}", relation.table);
        let failed = |error: PgError| {
            if table_changed(&error) {
                return CopyError::Void(format!("{doing}: {error}"));
            }
            if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) {
                let hint =
                    "GRANT SELECT on it; if it has row security: ALTER ROLE ... BYPASSRLS; (a copy must see every row)";
                return CopyError::Failed(Refusal::new(Kind::Server, format!("{doing}: {error}"), hint).into());
            }
            CopyError::Failed(Error::from_pg(&doing, error))
        };
        let columns = u16::try_from(relation.columns.len()).expect("Postgres allows 1600 columns");
        let mut batch = opening(table);
        wire.start_copy(&statement(table), b'H').await.map_err(failed)?;
        loop {
            match wire.message().await.map_err(failed)? {
                (b'd', line) => {
                    insert_from_copy_text(relation.id, columns, line, &mut batch.bytes)
                        .map_err(|error| Error::Retry(format!("{doing}: {error}")))?;
                    batch.ends.push(batch.bytes.len());
                    batch.rows += 1;
                    if batch.bytes.len() >= BATCH_BYTES
                        && self.sender.send(Ok(std::mem::take(&mut batch))).await.is_err()
                    {
                        return Ok(());
                    }
                }
                (b'E', body) => return Err(failed(pg::error_response(body))),
                (b'Z', _) => break,
                _ => {} // The end of the copy, its tag, notices.
            }
        }
        let _ = self.sender.send(Ok(batch)).await; // Nobody listens: the copy was given up.
        Ok(())
    }
}

/// What must stand before the rows of a table: its types, itself, and what Relation does not say.
fn opening(table: &Described) -> Batch {
    let mut batch = Batch::default();
    for message in table.types.values() {
        batch.push(message);
    }
    batch.push(&table.relation_message());
    let mut facts = Vec::new();
    table.facts.encode(&mut facts);
    batch.push(&facts);
    batch
}

fn import(snapshot: &str) -> String {
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {};", pg::literal(snapshot))
}

fn statement(table: &Described) -> String {
    let relation = &table.facts.relation;
    let columns = relation.columns.iter().map(|column| &*column.name);
    pg::copy_rows(&relation.table, columns, table.partitioned, table.filter.as_deref())
}

/// The files under tables before a snapshot; unchanged afterwards, what was read under it is whole.
pub struct Guard {
    oids: Vec<u32>,
    files: Vec<(u32, Option<u32>)>,
}

impl Guard {
    /// Notes the files of the published tables of these names. To be done before the snapshot is taken.
    pub(super) async fn note(
        session: &Session,
        version: u32,
        publication: &str,
        names: &[TableName],
    ) -> Result<Self, Error> {
        let tables = catalog::describe(session, version, publication, names).await?;
        Self::of(session, tables.iter().map(|table| table.facts.relation.id)).await
    }

    /// As `Guard::note`, of the tables with these OIDs.
    pub async fn of(session: &Session, oids: impl Iterator<Item = u32>) -> Result<Self, Error> {
        let oids: Vec<u32> = oids.collect();
        let files = catalog::filenodes(session, &oids).await?;
        Ok(Self { oids, files })
    }

    /// Whether no table was truncated, rewritten, or got or lost a leaf since; `copied` are the tables that were copied.
    pub(super) async fn holds(&self, session: &Session, copied: &[Described]) -> Result<bool, Error> {
        self.holds_for(session, copied.iter().map(|table| table.facts.relation.id)).await
    }

    /// As `Guard::holds`, of the tables with these OIDs.
    pub async fn holds_for(&self, session: &Session, mut read: impl Iterator<Item = u32>) -> Result<bool, Error> {
        let covered = read.all(|oid| self.oids.contains(&oid));
        Ok(covered && catalog::filenodes(session, &self.oids).await? == self.files)
    }
}
