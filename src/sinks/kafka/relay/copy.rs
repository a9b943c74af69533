//! The first rows of a sink that begins with a copy.
//!
//! The rows are those of the standby at one position. They are written to a file first, so that a copy that was cut short
//! goes on with the same rows: `position.op` of the progress counts those that are done.

use std::path::PathBuf;
use std::time::Duration;

use super::stand;
use super::thread::Thread;
use super::work::Work;
use crate::model::Position;
use crate::pgoutput::{Lineage, Message, TableFacts, TupleBuffer};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::progress::Progress;
use crate::sinks::standby::{Table, View, checkpoint};
use crate::sinks::status::State;
use crate::tape::{self, Entry, Head, Reader};

/// How often the standby is looked at until it has rows.
const POLL: Duration = Duration::from_millis(50);

/// Fixes the rows to begin with; `None`: the service ended first.
pub(super) fn begin(thread: &mut Thread) -> Result<Option<Progress>, Error> {
    let Some(standby) = thread.setup.standby.clone() else {
        let what =
            format!("the Kafka sink {} begins with a copy, whose rows only the standby has", thread.handle.name());
        let hint = "add standby to sinks, or set initial = \"earliest\" or \"now\"";
        return Err(Refusal::new(Kind::Usage, what, hint).into());
    };
    thread.handle.update(|report| report.state = State::Starting);
    while standby.view().epoch == 0 {
        if !thread.idle.pause(POLL) {
            return Ok(None);
        }
    }
    let view = standby.view();
    let path = file(thread);
    checkpoint::write(&path, &view, thread.setup.identity.system_id).map_err(Error::io("write", &path))?;
    fail::fail_point!("kafka-copy::rows-fixed");
    let first = Position { lsn: view.position.lsn, op: 0 };
    let begun = stand::beginning(thread.setup.identity.clone(), first, view.epoch);
    Ok(Some(Progress { copying: true, commit_time_us: view.commit_time_us, ..begun }))
}

fn file(thread: &Thread) -> PathBuf {
    thread.setup.settings.state_dir.join(format!("{}.copy", thread.setup.settings.name))
}

/// Produces the rows that are left, if the sink is in its copy; `false`: the service ends.
pub(super) fn rows_first(thread: &mut Thread, work: &mut Work<'_>) -> Result<bool, Error> {
    if !work.progress.copying {
        return Ok(true);
    }
    let path = file(thread);
    let view = match checkpoint::read(&path, thread.setup.identity.system_id) {
        Ok(view) if view.position.lsn == work.progress.position.lsn => view,
        Ok(_) => return Err(lost(thread, "is another copy's").into()),
        Err(error) => return Err(lost(thread, &error.to_string()).into()),
    };
    types(thread, work, &view)?;
    let head = head(&view);
    let mut copy = Copy { done: work.progress.position.op, at: 0, buffer: TupleBuffer::default() };
    work.feed.begin(&head, &mut work.sender)?;
    for table in view.tables() {
        announce(work, table)?;
        for row in table.rows() {
            for _ in 0..row.copies() {
                copy.row(work, &head, table, &row.cells())?;
                fail::fail_point!("kafka-copy::middle");
                if work.is_due() {
                    work.progress.position.op = copy.at;
                    work.commit()?;
                }
                if thread.idle.cancel.is_cancelled() {
                    return Ok(false);
                }
            }
        }
    }
    work.feed.commit(&head, &mut work.sender)?;
    work.progress.copying = false;
    work.progress.position = view.position;
    work.commit()?;
    fail::fail_point!("kafka-copy::done");
    thread.keep_tape(&work.committed, &work.feed.stopped())?;
    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    Ok(true)
}

fn lost(thread: &Thread, why: &str) -> Refusal {
    let name = thread.handle.name();
    let what = format!("the rows that the Kafka sink {name} was copying are lost: {} {why}", file(thread).display());
    Refusal::new(Kind::Tape, what, format!("begin anew with: pgtape kafka reset {name}"))
}

/// The types that the rows use, which only the tape knows.
fn types(thread: &Thread, work: &mut Work<'_>, view: &View) -> Result<(), Error> {
    let after = Position::whole(view.position.lsn.min(thread.setup.watermark.lsn()));
    let mut reader = Reader::open(&thread.setup.tape_dir, after, thread.setup.watermark.clone())?;
    if let Some(Entry::Preamble(messages)) = reader.next()? {
        work.preamble(messages)?;
    }
    Ok(())
}

/// The rows as one unit.
fn head(view: &View) -> Head {
    let lsn = view.position.lsn;
    Head {
        kind: tape::Kind::Copy,
        xid: 0,
        begin_lsn: lsn,
        commit_lsn: lsn,
        end_lsn: lsn,
        commit_time_us: view.commit_time_us,
        epoch: view.epoch,
        messages: 0,
        bytes: 0,
        tables: Vec::new(),
    }
}

fn announce(work: &mut Work<'_>, table: &Table) -> Result<(), Error> {
    let key = table.key_names().into_iter().map(str::to_owned).collect();
    let relation = table.relation().clone();
    let mut bytes = Vec::new();
    crate::pgoutput::encode_relation(&relation, &mut bytes);
    work.feed.preamble(crate::pgoutput::decode(&bytes)?)?;
    let facts = TableFacts { relation, primary_key: key, indexes: Vec::new(), lineage: Lineage::default() };
    work.feed.preamble(Message::Facts(facts))
}

/// How far the copy is.
struct Copy {
    /// Rows that were done before this session.
    done: u64,
    /// Rows given so far.
    at: u64,
    buffer: TupleBuffer,
}

impl Copy {
    fn row(&mut self, work: &mut Work<'_>, head: &Head, table: &Table, cells: &[Option<&[u8]>]) -> Result<(), Error> {
        self.at += 1;
        if self.at <= self.done {
            return Ok(());
        }
        let new = self.buffer.fill(cells.iter().copied());
        let insert = Message::Insert { relation_id: table.relation().id, new };
        work.message(head, head.end_lsn, &insert, self.at - 1)
    }
}
