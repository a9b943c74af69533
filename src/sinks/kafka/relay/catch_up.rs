//! What topics that had stopped are owed: their tables' changes from where they stopped to where the sink stands, before
//! the sink goes on. A crash in the middle goes on from the note of the last commit.

use super::thread::Thread;
use super::work::Work;
use crate::model::Position;
use crate::sinks::Error;
use crate::sinks::kafka::settings::{FeedSettings, Settings};
use crate::tape::{Entry, Reader};

/// Produces what is owed, if something is and the sink stands between transactions. `false`: the service ends.
pub(super) fn run(thread: &mut Thread, settings: &Settings, work: &mut Work<'_>) -> Result<bool, Error> {
    let FeedSettings::Changes(changes) = &settings.feed else { return Ok(true) };
    let owed = work.feed.owed();
    let Some(from) = owed.iter().map(|stop| stop.position).min() else { return Ok(true) };
    let stands = work.committed.clone();
    if work.sender.open.is_some() {
        work.commit()?;
    }
    let catcher = crate::sinks::kafka::changes::Changes::catching_up(changes, from, owed)?;
    let main = std::mem::replace(&mut work.feed, Box::new(catcher));
    let caught_up = pass(thread, work, from, stands.position);
    let left = std::mem::replace(&mut work.feed, main).stopped();
    work.progress = stands.counting(&work.progress);
    let done = caught_up?;
    if done {
        work.feed.paid(left);
        work.commit()?;
    }
    Ok(done)
}

/// One pass over the tape, for the tables that are owed something.
fn pass(thread: &mut Thread, work: &mut Work<'_>, from: Position, to: Position) -> Result<bool, Error> {
    let mut reader = Reader::open(&thread.setup.tape_dir, from, thread.setup.watermark.clone())?;
    let stands = work.progress.clone();
    while reader.position() < to.lsn {
        match reader.next()? {
            Some(Entry::Preamble(messages)) => work.preamble(messages)?,
            Some(Entry::Transaction(unit)) if unit.head().end_lsn > to.lsn => break,
            Some(Entry::Transaction(unit)) => work.unit_beside(unit, &stands)?,
            Some(Entry::Progress(_) | Entry::Gap(_)) => {}
            None => break,
        }
        if work.is_due() {
            work.commit()?;
        }
        if thread.idle.cancel.is_cancelled() {
            return Ok(false);
        }
    }
    if work.sender.open.is_some() {
        work.commit()?;
    }
    Ok(true)
}
