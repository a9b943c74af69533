//! Source, tape and sinks in this process, without the rest of the service: for tests of the sinks that look inside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgtape::model::{Lsn, Pattern, TableName};
use pgtape::pg::Address;
use pgtape::sandbox::Database;
use pgtape::sinks::cursor::Identity;
use pgtape::sinks::rollup::{RollUp, by_hand, rebuild};
use pgtape::sinks::standby::{Row, Table, View};
use pgtape::sinks::{self, Handles};
use pgtape::source::{self, Source};
use pgtape::tape::{Options, Pins, Proof, Watermark, Writer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes.
pub const AT_MOST: Duration = Duration::from_secs(60);

/// How a pipeline is made; the same for each of its starts.
pub struct Plan {
    /// The database, reached directly.
    pub url: String,
    /// Where the roll-ups are written.
    pub rollup_url: String,
    slot: String,
    tables: Vec<Pattern>,
    rollups: Vec<Arc<dyn RollUp>>,
    /// Changes of the sinks' settings.
    pub extras: sinks::standby::Extras,
    directory: tempfile::TempDir,
}

/// A running pipeline.
pub struct Pipeline {
    pub handles: Handles,
    pub watermark: Watermark,
    pub identity: Identity,
    cancel: CancellationToken,
    source: JoinHandle<Result<(), source::Error>>,
    sinks: oneshot::Receiver<Result<(), sinks::Error>>,
}

impl Plan {
    /// Captures `tables` of the database and keeps these roll-ups.
    pub fn new(database: &Database, tables: &str, rollups: &[&str]) -> Self {
        Self {
            url: database.url(),
            rollup_url: database.url(),
            slot: database.name().to_owned(),
            tables: Pattern::parse_list(tables).unwrap(),
            rollups: rollups.iter().map(|name| by_hand::rollup(name).unwrap()).collect(),
            extras: sinks::standby::Extras::default(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn add_rollup(&mut self, name: &str) {
        self.rollups.push(by_hand::rollup(name).unwrap());
    }

    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    pub fn tape_dir(&self) -> PathBuf {
        self.data_dir().join("tape")
    }

    pub fn rollups(&self) -> &[Arc<dyn RollUp>] {
        &self.rollups
    }

    pub fn settings(&self) -> source::Settings {
        let address: Address = self.url.parse().unwrap();
        let mut settings = source::Settings::new(address, self.tables.clone(), self.data_dir().to_owned());
        settings.slot = self.slot.clone();
        settings.excluded = self.rollups.iter().map(|rollup| rollup.target().table.clone()).collect();
        settings
    }

    /// The tape's writer, before anything streams.
    pub async fn open(&self) -> (source::Prepared, Writer, pgtape::tape::Recovered) {
        let prepared = source::prepare(&self.settings()).await.unwrap();
        let proof = Proof { confirmed: prepared.confirmed(), cursors: Vec::new() };
        let (writer, recovered) =
            Writer::open(&self.tape_dir(), Options::default(), prepared.origin(), &proof).unwrap();
        (prepared, writer, recovered)
    }

    /// Starts it.
    pub async fn start(&self) -> Pipeline {
        let (prepared, writer, recovered) = self.open().await;
        let plan = prepared.plan(&recovered).unwrap();
        prepared.align().await.unwrap();
        let (watermark, cancel, pins) = (writer.watermark(), CancellationToken::new(), Pins::new());
        let identity = Identity::from(&prepared.origin());
        let settings = sinks::Settings {
            rollups: self.rollups.clone(),
            address: Some(self.rollup_url.parse().unwrap()),
            extras: self.extras.clone(),
            flush_every: Duration::from_millis(1),
            ..sinks::Settings::new(self.tape_dir(), self.data_dir().to_owned())
        };
        let started = sinks::start(settings, watermark.clone(), identity.clone(), pins, cancel.clone()).unwrap();
        let status = source::StatusHandle::default();
        let source = Source { prepared, plan, writer, recovered, status, on_sync: Arc::new(|_| {}) };
        let (tape_dir, stop) = (self.tape_dir(), cancel.clone());
        let source = tokio::spawn(async move { source.run(&tape_dir, stop).await });
        Pipeline { handles: started.0, watermark, identity, cancel, source, sinks: started.1 }
    }

    /// Compares every roll-up with its definition, at one position at which both stand still.
    pub async fn assert_rollups(&self, pipeline: &Pipeline) {
        pipeline.caught_up(&self.url).await; // A position before the end of a copy cannot be applied to.
        let hold = pipeline.handles.control.hold(AT_MOST).await.unwrap();
        let lsn = pipeline.emitted(&self.url).await;
        pipeline.handles.control.apply_until(hold.id, lsn).await.unwrap();
        let session = pgtape::pg::connect(&self.url.parse().unwrap(), pgtape::pg::Purpose::Verify).await.unwrap();
        for rollup in &self.rollups {
            let definition = by_hand::definition(rollup.name()).unwrap();
            let want = rebuild::by_definition(&*session, &**rollup, definition).await.unwrap();
            let got = rebuild::of_target(&*session, &**rollup).await.unwrap();
            assert!(got == want, "{}: {:#?}\n{:#?}", rollup.name(), sorted(&got), sorted(&want));
        }
        pipeline.handles.control.release(hold.id).await.unwrap();
    }
}

fn sorted(deltas: &sinks::rollup::Deltas) -> Vec<String> {
    let mut groups: Vec<String> = deltas.iter().map(|group| format!("{group:?}")).collect();
    groups.sort();
    groups
}

impl Pipeline {
    /// A position that the stream will reach although nothing more is written.
    pub async fn emitted(&self, url: &str) -> Lsn {
        let session = pgtape::pg::connect(&url.parse().unwrap(), pgtape::pg::Purpose::Control).await.unwrap();
        let sql = "SELECT pg_logical_emit_message(false, 'test', '')::text";
        session.query_one(sql, &[]).await.unwrap().get::<_, String>(0).parse().unwrap()
    }

    /// A view that holds everything committed so far.
    pub async fn caught_up(&self, url: &str) -> Arc<View> {
        let lsn = self.emitted(url).await;
        self.handles.standby.wait_for(lsn, AT_MOST).await.unwrap()
    }

    /// Stops it, and says how the delivery ended.
    pub async fn stop(self) -> Result<(), sinks::Error> {
        self.cancel.cancel();
        self.source.await.unwrap().unwrap();
        self.sinks.await.unwrap()
    }
}

/// The rows of a table as psql prints them, sorted.
pub fn rows(view: &View, table: &str) -> Vec<String> {
    let table = view.table(&TableName::parse(table).unwrap()).unwrap_or_else(|| panic!("no table {table}"));
    let mut rows: Vec<String> =
        table.rows().flat_map(|row| vec![line(table, &row); usize::try_from(row.copies()).unwrap()]).collect();
    rows.sort();
    rows
}

fn line(_: &Table, row: &Row<'_>) -> String {
    let text = |cell: Option<&[u8]>| cell.map_or(String::new(), |c| String::from_utf8(c.to_vec()).unwrap());
    row.cells().into_iter().map(text).collect::<Vec<_>>().join("|")
}

/// The rows of a table in Postgres, in the same form.
pub fn rows_in_postgres(database: &Database, table: &str) -> Vec<String> {
    let (schema, name) = table.split_once('.').unwrap();
    let sql = format!("SET timezone = 'UTC'; SELECT * FROM \"{schema}\".\"{name}\"");
    let mut rows: Vec<String> = database.psql(&sql).unwrap().lines().map(str::to_owned).collect();
    rows.sort();
    rows
}
