//! How a session of the delivery begins: where the roll-ups stand, the checkpoint that serves them all, the tape from
//! there on.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::background::{Checkpointer, Place};
use super::checkpoints::{self, Checkpoint};
use super::cursor::{self, Identity, Stored};
use super::gate::Gate;
use super::quarantines::Quarantines;
use super::rollup::{Mailbox, Mailboxes, Maintainer, RollUp, Writer};
use super::standby::{self, Extras, Publisher, StandbyReader, Store};
use super::status::{State, StateCell};
use super::step::{Kept, Step};
use crate::model::{Lsn, Position};
use crate::pg::{self, Address, Purpose};
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Pins, Reader, Watermark};

/// Wait before the positions are asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A stop waits so long for the roll-ups' last transactions.
const WRITERS_STOP_MAX: Duration = Duration::from_secs(3);
/// So often may another writer move a position, in one generation, before this one gives way.
const FENCED_MAX: u32 = 3;

/// What a delivery is made of, for all its sessions.
pub(super) struct Setup {
    pub(super) tape_dir: PathBuf,
    pub(super) checkpoint_dir: PathBuf,
    pub(super) watermark: Watermark,
    pub(super) identity: Identity,
    pub(super) pins: Pins,
    pub(super) extras: Arc<Extras>,
    pub(super) rollups: Vec<Arc<dyn RollUp>>,
    pub(super) address: Option<Address>,
    pub(super) checkpoint_every: Duration,
    pub(super) flush_every: Duration,
    pub(super) delta_bytes_max: usize,
    pub(super) publisher: Arc<Publisher>,
    pub(super) reader: StandbyReader,
    pub(super) quarantines: Quarantines,
    pub(super) state: Arc<StateCell>,
    /// The mailboxes of this session, for status.
    pub(super) mailboxes: Mailboxes,
    /// Where the roll-ups' writers run.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) changed: Arc<Notify>,
    /// Positions found moved by someone else: generation, and how often in it.
    pub(super) fenced: Mutex<HashMap<String, (i64, u32)>>,
}

/// From one start to the next.
pub(super) struct Session {
    pub(super) reader: Reader,
    pub(super) step: Step,
    pub(super) writers: Writers,
}

/// The writers of the roll-ups.
pub(super) struct Writers {
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    runtime: tokio::runtime::Handle,
}

impl Writers {
    /// Ends them; each may commit what it has.
    pub(super) fn stop(self) {
        self.cancel.cancel();
        let all = async {
            for task in self.tasks {
                let _ = tokio::time::timeout(WRITERS_STOP_MAX, task).await;
            }
        };
        self.runtime.block_on(all);
    }
}

/// Begins a session; `None`: stopped meanwhile.
pub(super) fn session(setup: &Setup, gate: &Gate) -> Result<Option<Session>, Error> {
    setup.state.set(State::Starting);
    let Some(stands) = gate.block_on(positions(setup)) else { return Ok(None) };
    let stands = stands?;
    let end = setup.watermark.get();
    for (rollup, stored) in setup.rollups.iter().zip(&stands) {
        check(setup, rollup.name(), stored.as_ref(), end)?;
    }
    let (store, found) = load(setup, &stands)?;
    let place = Place {
        dir: setup.checkpoint_dir.clone(),
        system_id: setup.identity.system_id,
        pins: setup.pins.clone(),
        rollups: rollups_of(setup),
    };
    let checkpointer = Checkpointer::new(place, setup.checkpoint_every, found.unwrap_or(Lsn::ZERO));
    let after = match found {
        Some(lsn) => lsn,
        None => tape::usage(&setup.tape_dir)?.oldest,
    };
    let reader = Reader::open(&setup.tape_dir, Position::whole(after), setup.watermark.clone())?;
    let empty_tape = end.epoch == 0;
    let (kept, writers) = keep(setup, &store, found, &stands, empty_tape);
    let (publisher, quarantines) = (Arc::clone(&setup.publisher), setup.quarantines.clone());
    let step = Step::new(store, kept, publisher, setup.reader.clone(), quarantines, checkpointer);
    setup.state.set(State::CatchingUp);
    Ok(Some(Session { reader, step, writers }))
}

fn rollups_of(setup: &Setup) -> Option<(Address, Vec<String>)> {
    let names: Vec<String> = setup.rollups.iter().map(|rollup| rollup.name().to_owned()).collect();
    setup.address.clone().filter(|_| !names.is_empty()).map(|address| (address, names))
}

/// Reads the roll-ups' positions, however long the server takes to answer.
async fn positions(setup: &Setup) -> Result<Vec<Option<Stored>>, Error> {
    let Some((address, names)) = rollups_of(setup) else { return Ok(vec![None; setup.rollups.len()]) };
    loop {
        match read_positions(&address, &names).await {
            Ok(stands) => return Ok(stands),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "read the positions of the roll-ups");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(error) if error.is(&pg::SqlState::UNDEFINED_TABLE) => {
                let hint = "run `pgtape migrate up`, or leave the roll-ups out with --sinks standby";
                return Err(Refusal::new(Kind::Server, "there is no table pgtape.sink_position", hint).into());
            }
            Err(error) => return Err(error.into_refusal("read the positions of the roll-ups").into()),
        }
    }
}

async fn read_positions(address: &Address, names: &[String]) -> Result<Vec<Option<Stored>>, pg::Error> {
    let session = pg::connect(address, Purpose::Control).await?;
    let mut stands = Vec::new();
    for name in names {
        stands.push(cursor::read(&*session, name).await?);
    }
    Ok(stands)
}

/// Refuses a position that is not of this tape, and a second writer.
fn check(setup: &Setup, name: &str, stored: Option<&Stored>, end: tape::End) -> Result<(), Error> {
    let Some(stored) = stored.filter(|stored| !stored.stale) else { return Ok(()) };
    let hint = format!("rebuild it: pgtape sink rebuild {name}");
    if stored.identity.system_id != setup.identity.system_id {
        let what = format!("the position of {name} is of another server (system id {})", stored.identity.system_id);
        return Err(Refusal::new(Kind::Tape, what, hint).into());
    }
    if end.epoch > 0 && stored.lsn > end.lsn {
        let what = format!("the position of {name}, {}, is past the tape's end, {}", stored.lsn, end.lsn);
        return Err(Refusal::new(Kind::Tape, what, hint).into());
    }
    let mut fenced = setup.fenced.lock().expect("nobody panics while holding it");
    let before = setup.mailboxes.lock().expect("nobody panics while holding it");
    let was_fenced = before.iter().any(|(n, mailbox)| n == name && mailbox.is_fenced());
    let (generation, times) = fenced.get(name).copied().unwrap_or((stored.generation, 0));
    let times = if generation == stored.generation { times + u32::from(was_fenced) } else { 0 };
    fenced.insert(name.to_owned(), (stored.generation, times));
    if times >= FENCED_MAX {
        let what = format!("another pgtape writes the roll-up {name}");
        return Err(Refusal::new(Kind::Locked, what, "stop one of the two").into());
    }
    Ok(())
}

/// The store to start from, and the position of its checkpoint.
fn load(setup: &Setup, stands: &[Option<Stored>]) -> Result<(Store, Option<Lsn>), Error> {
    let dir = &setup.checkpoint_dir;
    let all = checkpoints::list(dir).map_err(Error::io("list the checkpoints in", dir))?;
    let oldest = tape::usage(&setup.tape_dir)?.oldest;
    let newest = setup.watermark.lsn();
    for checkpoint in in_order(&all, stands) {
        if checkpoint.point.1 < oldest || checkpoint.point.1 > newest {
            tracing::warn!(path = %checkpoint.path.display(), "the tape does not go on from this checkpoint");
            continue;
        }
        match standby::checkpoint::read(&checkpoint.path, setup.identity.system_id) {
            Ok(view) => {
                tracing::info!(position = %view.position, "starting from a checkpoint");
                return Ok((Store::from_view(Arc::clone(&setup.extras), view), Some(checkpoint.point.1)));
            }
            Err(error) => tracing::error!(path = %checkpoint.path.display(), %error, "read a checkpoint"),
        }
    }
    Ok((Store::new(Arc::clone(&setup.extras)), None))
}

/// Checkpoints in the order of preference: the newest that serves every roll-up, then older ones; last those that some
/// roll-up is behind, newest first.
fn in_order<'a>(all: &'a [Checkpoint], stands: &[Option<Stored>]) -> Vec<&'a Checkpoint> {
    let serves = |c: &&Checkpoint| stands.iter().flatten().all(|stored| stored.stale || !is_behind(stored, c.point));
    let (good, bad): (Vec<_>, Vec<_>) = all.iter().partition(serves);
    good.into_iter().chain(bad).collect()
}

/// Whether changes between the roll-up's position and the checkpoint would be missing. In an older epoch they do not
/// count: the roll-up is replaced.
fn is_behind(stored: &Stored, checkpoint: (u32, Lsn)) -> bool {
    stored.lsn < checkpoint.1 && stored.epoch >= checkpoint.0
}

/// The roll-ups from here on, with their writers at work.
fn keep(
    setup: &Setup,
    store: &Store,
    found: Option<Lsn>,
    stands: &[Option<Stored>],
    empty_tape: bool,
) -> (Vec<Kept>, Writers) {
    let cancel = CancellationToken::new();
    let (mut kept, mut tasks, mut mailboxes) = (Vec::new(), Vec::new(), Vec::new());
    let (epoch, position) = store.position();
    let point = (epoch, position.lsn);
    for (rollup, stored) in setup.rollups.iter().zip(stands) {
        let mailbox = Arc::new(Mailbox::new(stored.clone(), setup.delta_bytes_max, Arc::clone(&setup.changed)));
        mailboxes.push((rollup.name().to_owned(), Arc::clone(&mailbox)));
        let holding = stored.as_ref().filter(|stored| !stored.stale);
        if holding.is_none() && stored.is_some() {
            tracing::warn!(
                rollup = rollup.name(),
                "its target is not the one that was written: its content is made anew"
            );
        }
        if found.is_some() && holding.is_some_and(|stored| is_behind(stored, point)) {
            // Left by an earlier tape, or all checkpoints below it are gone. What it must hold follows from the rows.
            tracing::warn!(rollup = rollup.name(), "its position is before the checkpoint: its content is made anew");
        }
        let from = holding.map(|stored| stored.lsn).filter(|_| !empty_tape);
        let mut maintainer = Maintainer::new(Arc::clone(rollup), from);
        if found.is_some() {
            maintainer.starts_at(store);
        }
        if found.is_some() && from.is_none_or(|from| from < point.1) {
            maintainer.replace_with(store);
        }
        kept.push(Kept { maintainer, mailbox: Arc::clone(&mailbox) });
        let address = setup.address.clone().expect("roll-ups come with the server's address");
        let (rollup, identity, flush_every) = (Arc::clone(rollup), setup.identity.clone(), setup.flush_every);
        let writer = Writer { rollup, mailbox, address, identity, flush_every };
        tasks.push(setup.runtime.spawn(writer.run(cancel.clone())));
    }
    *setup.mailboxes.lock().expect("nobody panics while holding it") = mailboxes;
    (kept, Writers { cancel, tasks, runtime: setup.runtime.clone() })
}
