//! A source that runs within the test, and the tape it writes, replayed into plain tables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pgtape::model::{Identity, Lsn, Pattern, Position, Relation};
use pgtape::pgoutput::{Cell, Message, OldKind, Relations, TableFacts, Tuple, decode};
use pgtape::refusal::Refusal;
use pgtape::source::{Error, Plan, Settings, Source, SourceStatus, State, StatusHandle, prepare};
use pgtape::tape::{Entry, Head, Kind, Options, Proof, Reader, Watermark, Writer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing that works takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings and a data directory.
pub struct Rig {
    pub settings: Settings,
    pub dir: tempfile::TempDir,
}

impl Rig {
    /// `tables` as on the command line; slot and publication are named `slot`.
    pub fn new(url: &str, slot: &str, tables: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let patterns = Pattern::parse_list(tables).unwrap();
        let settings = Settings {
            slot: slot.to_owned(),
            publication: slot.to_owned(),
            status_interval: Duration::from_millis(100),
            fsync_every: Duration::from_millis(1),
            ..Settings::new(url.parse().unwrap(), patterns, dir.path().to_owned())
        };
        Self { settings, dir }
    }

    pub fn tape_dir(&self) -> PathBuf {
        self.dir.path().join("tape")
    }

    /// Prepares, opens the tape, plans, and runs.
    pub async fn start(&self) -> Result<Running, Refusal> {
        self.start_after(|| ()).await
    }

    /// [`Rig::start`]; `between` happens when all has been looked at and nothing been made.
    pub async fn start_after(&self, between: impl FnOnce()) -> Result<Running, Refusal> {
        let prepared = prepare(&self.settings).await.map_err(Error::into_refusal)?;
        let options = Options { segment_bytes: 1 << 20, ..Options::default() };
        let proof = Proof { confirmed: prepared.confirmed(), cursors: Vec::new() };
        let (writer, recovered) = Writer::open(&self.tape_dir(), options, prepared.origin(), &proof)
            .map_err(pgtape::tape::Error::into_refusal)?;
        let plan = prepared.plan(&recovered)?;
        between();
        prepared.align().await.map_err(Error::into_refusal)?;
        let (watermark, status, cancel) = (writer.watermark(), StatusHandle::default(), CancellationToken::new());
        let source = Source {
            prepared,
            plan: plan.clone(),
            writer,
            recovered,
            status: status.clone(),
            on_sync: std::sync::Arc::new(|_| {}),
        };
        let (dir, token) = (self.tape_dir(), cancel.clone());
        let task = tokio::spawn(async move { source.run(&dir, token).await });
        Ok(Running { plan, watermark, status, cancel, task })
    }

    /// [`Rig::start`], and waits until it streams.
    pub async fn stream(&self) -> Running {
        let running = self.start().await.unwrap_or_else(|refusal| panic!("{refusal}"));
        running.wait_for("the stream", |s| s.state == State::Streaming).await;
        running
    }

    /// Everything on the tape, applied.
    pub fn replay(&self, watermark: &Watermark) -> Replay {
        let mut replay = Replay::default();
        let mut reader = Reader::open(&self.tape_dir(), Position::ZERO, watermark.clone()).unwrap();
        while let Some(entry) = reader.next().unwrap() {
            match entry {
                Entry::Preamble(mut messages) => {
                    while let Some((_, raw)) = messages.next_message().unwrap() {
                        replay.apply(raw);
                    }
                }
                Entry::Transaction(mut unit) => {
                    replay.begin(unit.head().clone());
                    while let Some((_, raw)) = unit.next_message().unwrap() {
                        replay.apply(raw);
                    }
                }
                Entry::Progress(_) | Entry::Gap(_) => {}
            }
        }
        replay
    }
}

/// A source that runs.
pub struct Running {
    pub plan: Plan,
    pub watermark: Watermark,
    pub status: StatusHandle,
    pub cancel: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Waits until the tape is durable up to `lsn`.
    pub async fn reach(&mut self, lsn: Lsn) {
        let reached = async {
            while self.watermark.lsn() < lsn {
                tokio::select! {
                    _ = self.watermark.changed() => {}
                    ended = &mut self.task => panic!("the source ended: {ended:?}"),
                }
            }
        };
        let status = self.status.clone();
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{lsn} was not reached: {:?}", status.get());
        }
    }

    /// Waits until the tape holds so many Refresh units. It is read on from where the last look ended, heads only.
    pub async fn refreshed(&mut self, rig: &Rig, times: usize) {
        let mut reader = Reader::open(&rig.tape_dir(), Position::ZERO, self.watermark.clone()).unwrap();
        let mut seen = 0;
        let came = async {
            loop {
                let end = self.watermark.get();
                while let Some(entry) = reader.next().unwrap() {
                    seen +=
                        usize::from(matches!(&entry, Entry::Transaction(unit) if unit.head().kind == Kind::Refresh));
                }
                if seen >= times {
                    return;
                }
                tokio::select! {
                    _ = self.watermark.past(end) => {}
                    ended = &mut self.task => panic!("the source ended: {ended:?}"),
                }
            }
        };
        let came = tokio::time::timeout(PATIENCE, came).await;
        assert!(came.is_ok(), "{times} refreshes did not come: {:?}", self.status.get());
    }

    /// Waits until the status is as asked.
    pub async fn wait_for(&self, what: &str, asked: impl Fn(&SourceStatus) -> bool) {
        let mut status = self.status.subscribe();
        let waited = tokio::time::timeout(PATIENCE, status.wait_for(|s| asked(s))).await;
        assert!(waited.is_ok(), "{what} did not come: {:?}", self.status.get());
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.ended().await.unwrap();
    }

    /// Waits for its end.
    pub async fn ended(self) -> Result<(), Error> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the source did not end").unwrap()
    }
}

type Row = Vec<Option<String>>;

/// Tables as the tape tells them.
#[derive(Default)]
pub struct Replay {
    relations: Relations,
    pub facts: BTreeMap<String, TableFacts>,
    tables: BTreeMap<String, Vec<Row>>,
    pub units: Vec<Head>,
    pub messages: Vec<String>,
    /// Row changes and truncates, copied rows included.
    pub changes: usize,
}

impl Replay {
    /// The rows of a table as `psql -A -t` prints them, NULL as nothing, sorted.
    pub fn rows(&self, table: &str) -> Vec<String> {
        let line = |row: &Row| row.iter().map(|v| v.clone().unwrap_or_default()).collect::<Vec<_>>().join("|");
        let mut lines: Vec<String> = self.tables.get(table).into_iter().flatten().map(line).collect();
        lines.sort();
        lines
    }

    /// The tables that are there.
    pub fn tables(&self) -> Vec<&str> {
        self.tables.keys().map(String::as_str).collect()
    }

    fn begin(&mut self, head: Head) {
        for table in &head.tables {
            self.tables.remove(table);
        }
        if head.kind == Kind::Copy {
            self.tables.clear();
        }
        self.units.push(head);
    }

    fn relation(&self, id: u32) -> (Relation, String) {
        let relation = self.relations.get(id).expect("announced before its changes");
        ((**relation).clone(), relation.table.to_string())
    }

    fn apply(&mut self, raw: &[u8]) {
        self.changes += usize::from(matches!(raw[0], b'I' | b'U' | b'D' | b'T'));
        match decode(raw).unwrap() {
            Message::Relation(announced) => {
                self.relations.learn(&announced);
                self.tables.entry(announced.to_relation().table.to_string()).or_default();
            }
            Message::Facts(facts) => {
                self.facts.insert(facts.table().to_string(), facts);
            }
            Message::Insert { relation_id, new } => {
                let (_, name) = self.relation(relation_id);
                let row = values(new, None);
                self.tables.get_mut(&name).unwrap().push(row);
            }
            Message::Update { relation_id, old, new } => {
                let at = self.find(relation_id, old.map_or(new, |(_, old)| old), old.map(|(kind, _)| kind));
                let (_, name) = self.relation(relation_id);
                let rows = self.tables.get_mut(&name).unwrap();
                rows[at] = values(new, Some(&rows[at]));
            }
            Message::Delete { relation_id, kind, old } => {
                let at = self.find(relation_id, old, Some(kind));
                let (_, name) = self.relation(relation_id);
                self.tables.get_mut(&name).unwrap().remove(at);
            }
            Message::Truncate { relation_ids, .. } => {
                for id in relation_ids {
                    let (_, name) = self.relation(id);
                    self.tables.get_mut(&name).unwrap().clear();
                }
            }
            Message::Logical(message) => self.messages.push(message.prefix.to_owned()),
            Message::Begin(_) | Message::Commit(_) | Message::Origin { .. } | Message::Type { .. } => {}
        }
    }

    /// Where the row stands that a sent tuple finds: by the identity, or as a whole under FULL without a primary key.
    fn find(&self, relation_id: u32, sent: Tuple<'_>, kind: Option<OldKind>) -> usize {
        let (relation, name) = self.relation(relation_id);
        let key: Vec<String> = match (relation.identity, self.facts.get(&name)) {
            (Identity::Full, Some(facts)) => facts.primary_key.clone(),
            _ => relation.columns.iter().filter(|c| c.in_identity).map(|c| c.name.to_string()).collect(),
        };
        let matters = |at: usize| key.is_empty() || key.iter().any(|k| relation.column(k) == Some(at));
        let sent = values(sent, None);
        let rows = &self.tables[&name];
        let same = |row: &Row| (0..sent.len()).filter(|at| matters(*at)).all(|at| row[at] == sent[at]);
        rows.iter().position(same).unwrap_or_else(|| panic!("no row of {name} for {kind:?}"))
    }
}

fn values(tuple: Tuple<'_>, before: Option<&Row>) -> Row {
    let value = |(at, cell): (usize, Cell<'_>)| match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
        Cell::Unchanged => before.expect("only updates leave values out")[at].clone(),
    };
    tuple.cells().enumerate().map(value).collect()
}

/// What psql prints of a table, sorted as [`Replay::rows`] sorts.
pub fn sorted(printed: &str) -> Vec<String> {
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The LSN that psql printed last.
pub fn lsn(printed: &str) -> Lsn {
    printed.lines().last().expect("an LSN").trim().parse().unwrap()
}
