//! Starting the delivery, and what the rest of the service holds of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::background::PIN;
use super::control::Control;
use super::cursor::Identity;
use super::gate::Gate;
use super::quarantine;
use super::quarantines::Quarantines;
use super::rollup::{Mailbox, Mailboxes, RollUp};
use super::standby::{Extras, Publisher, StandbyReader};
use super::start::Setup;
use super::status::{SinkStatus, State, StateCell};
use super::{Error, checkpoints, deliver};
use crate::model::Position;
use crate::pg::Address;
use crate::tape::{Pins, Watermark};

/// Commands that may wait.
const COMMANDS_MAX: usize = 16;

/// What to deliver, and where to.
#[derive(Clone)]
pub struct Settings {
    /// The tape.
    pub tape_dir: PathBuf,
    /// The data directory: checkpoints go to `standby` in it, quarantined rows to `quarantine`.
    pub data_dir: PathBuf,
    /// Indexes and books of the standby.
    pub extras: Extras,
    /// The roll-ups to keep; none without an address.
    pub rollups: Vec<Arc<dyn RollUp>>,
    /// Where the roll-ups are written.
    pub address: Option<Address>,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// Deltas are gathered for this long before one transaction.
    pub flush_every: Duration,
    /// Deltas of one roll-up are gathered up to this size, bytes; then the apply waits.
    pub delta_bytes_max: usize,
}

impl Settings {
    /// A standby alone, with the defaults of `config/pgtape.toml`.
    #[must_use]
    pub fn new(tape_dir: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            tape_dir,
            data_dir,
            extras: Extras::default(),
            rollups: Vec::new(),
            address: None,
            checkpoint_every: Duration::from_secs(60),
            flush_every: Duration::from_millis(100),
            delta_bytes_max: 64 << 20,
        }
    }

    /// Where checkpoints are.
    #[must_use]
    pub fn checkpoint_dir(&self) -> PathBuf {
        checkpoints::dir(&self.data_dir)
    }
}

/// What the rest of the service holds of the delivery. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    /// The read side.
    pub standby: StandbyReader,
    /// The write side: holds and checkpoints.
    pub control: Control,
    quarantines: Quarantines,
    state: Arc<StateCell>,
    mailboxes: Mailboxes,
}

/// Starts the delivery on a thread of its own. What it ends with comes through the receiver; it ends when `cancel` says
/// so, or by an error. The roll-ups' writers run on the runtime this is called from.
pub fn start(
    settings: Settings,
    watermark: Watermark,
    identity: Identity,
    pins: Pins,
    cancel: CancellationToken,
) -> Result<(Handles, oneshot::Receiver<Result<(), Error>>), Error> {
    let checkpoint_dir = settings.checkpoint_dir();
    let make = checkpoints::make(&checkpoint_dir).and_then(|()| checkpoints::sweep(&checkpoint_dir));
    make.map_err(Error::io("prepare", &checkpoint_dir))?;
    let pinned = checkpoints::pinned(&checkpoint_dir).map_err(Error::io("list the checkpoints in", &checkpoint_dir))?;
    pins.set(PIN, pinned.unwrap_or_default());

    let mut extras = settings.extras;
    extras.indexes.extend(settings.rollups.iter().flat_map(|rollup| indexes_of(&**rollup)));
    extras.indexes.dedup();
    let sinks = settings.rollups.iter().map(|rollup| rollup.name().to_owned()).chain([quarantine::STANDBY.to_owned()]);
    let quarantines = Quarantines::open(quarantine::dir(&settings.data_dir), sinks)?;
    let (publisher, reader) = Publisher::new();
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let (state, mailboxes, changed) = (Arc::new(StateCell::new()), Arc::default(), Arc::new(Notify::new()));
    let handles = Handles {
        standby: reader.clone(),
        control: Control(sender),
        quarantines: quarantines.clone(),
        state: Arc::clone(&state),
        mailboxes: Arc::clone(&mailboxes),
    };
    let setup = Setup {
        tape_dir: settings.tape_dir,
        checkpoint_dir,
        watermark: watermark.clone(),
        identity,
        pins,
        extras: Arc::new(extras),
        rollups: settings.rollups,
        address: settings.address,
        checkpoint_every: settings.checkpoint_every,
        flush_every: settings.flush_every,
        delta_bytes_max: settings.delta_bytes_max,
        publisher: Arc::new(publisher),
        reader,
        quarantines,
        state: Arc::clone(&state),
        mailboxes,
        runtime: tokio::runtime::Handle::current(),
        changed: Arc::clone(&changed),
        fenced: Mutex::new(HashMap::new()),
    };
    let gate = Gate::new(commands, watermark, changed, cancel, Arc::clone(&state));
    let gate = gate.map_err(Error::io("make a runtime for", "the delivery"))?;
    let (done, ended) = oneshot::channel();
    let deliver = move || {
        let result = deliver::run(&setup, gate);
        state.set(State::Stopped);
        let _ = done.send(result);
    };
    let thread = std::thread::Builder::new().name("deliver".into()).spawn(deliver);
    thread.map_err(Error::io("start the thread of", "the delivery"))?;
    Ok((handles, ended))
}

/// The indexes that a roll-up looks rows up by.
pub(super) fn indexes_of(rollup: &dyn RollUp) -> Vec<super::standby::IndexSpec> {
    let index = |source: &super::rollup::Source| {
        let columns = vec![source.index?.to_owned()];
        Some(super::standby::IndexSpec { table: source.table.clone(), columns })
    };
    rollup.sources().iter().filter_map(index).collect()
}

impl Handles {
    /// How every sink is doing: the standby first, then the roll-ups.
    #[must_use]
    pub fn status(&self) -> Vec<SinkStatus> {
        let view = self.standby.view();
        let books = self.quarantines.count(quarantine::STANDBY);
        let standby = SinkStatus {
            sink: "standby".into(),
            state: self.state.get(),
            position: view.position,
            epoch: view.epoch,
            commit_time_us: view.commit_time_us,
            committed: None,
            generation: None,
            quarantined: books.listed,
            quarantined_total: books.total,
            error: None,
        };
        let mailboxes = self.mailboxes.lock().expect("nobody panics while holding it").clone();
        let rollup = |(name, mailbox): (String, Arc<Mailbox>)| {
            let glance = mailbox.glance();
            let committed = glance.stored.as_ref().map(|stored| Position::whole(stored.lsn));
            let at_apply = glance.idle && glance.state == State::Following;
            let position = if at_apply { view.position } else { committed.unwrap_or_default() };
            let state = match (glance.state, standby.state) {
                (State::Following, State::Starting | State::CatchingUp | State::Held) => standby.state,
                (own, _) => own,
            };
            let quarantined = self.quarantines.count(&name);
            SinkStatus {
                quarantined: quarantined.listed,
                quarantined_total: quarantined.total,
                sink: name,
                state,
                position,
                epoch: glance.stored.as_ref().map_or(0, |stored| stored.epoch),
                commit_time_us: view.commit_time_us,
                committed,
                generation: glance.stored.as_ref().map(|stored| stored.generation),
                error: glance.error,
            }
        };
        let rollups: Vec<SinkStatus> = mailboxes.into_iter().map(rollup).collect();
        [standby].into_iter().chain(rollups).collect()
    }

    /// Rows that `sink` cannot use now.
    #[must_use]
    pub fn quarantined(&self, sink: &str) -> u64 {
        self.quarantines.count(sink).listed
    }
}
