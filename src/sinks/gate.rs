//! When the loop may go on: holds, commands, room, new tape, stop. The only place where the delivery waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::contract::Sink;
use super::control::{Command, ControlError, Hold, HoldId};
use super::standby::View;
use super::status::{State, StateCell};
use crate::model::Lsn;
use crate::tape::{End, Watermark};

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Goes on.
    Go,
    /// Starts over from a checkpoint.
    Restart,
    /// Ends.
    Stop,
}

/// What the loop waits for.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// The unit that ends here may be applied; `copy`: it replaces all that came before.
    MayApply { lsn: Lsn, copy: bool },
    /// The tape has grown beyond this end.
    Grows(End),
}

/// The longest hold, whatever lease is asked for.
pub const LEASE_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Held {
    id: HoldId,
    until: Instant,
    /// Units that end at or before this may be applied.
    limit: Lsn,
    waiting: Option<oneshot::Sender<Result<Arc<View>, ControlError>>>,
    demanded: bool,
}

/// See the module.
pub(super) struct Gate {
    runtime: tokio::runtime::Runtime,
    commands: mpsc::Receiver<Command>,
    watermark: Watermark,
    /// Told by the roll-ups' writers.
    changed: Arc<Notify>,
    cancel: CancellationToken,
    held: Option<Held>,
    holds: u64,
    restarts: Vec<oneshot::Sender<Result<(), ControlError>>>,
    state: Arc<StateCell>,
}

impl Gate {
    pub(super) fn new(
        commands: mpsc::Receiver<Command>,
        watermark: Watermark,
        changed: Arc<Notify>,
        cancel: CancellationToken,
        state: Arc<StateCell>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, commands, watermark, changed, cancel, held: None, holds: 0, restarts: Vec::new(), state })
    }

    /// Runs a future to its end on this thread, or until the stop.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = future => Some(done),
                () = self.cancel.cancelled() => None,
            }
        })
    }

    /// Answers those who asked to start over: the positions have been read. A hold goes on; the new writers have not been
    /// told what it demands.
    pub(super) fn restarted(&mut self) {
        if let Some(held) = &mut self.held {
            held.demanded = false;
        }
        self.restarts.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
    }

    /// Waits until what ends at `lsn` may be applied: a unit, or word that nothing happened up to there. `copy`: it replaces
    /// all that came before.
    pub(super) fn admit(&mut self, lsn: Lsn, copy: bool, sink: &mut impl Sink) -> Result<Next, Error> {
        if self.held.is_none() && self.commands.is_empty() && sink.has_room() && !self.cancel.is_cancelled() {
            return Ok(Next::Go);
        }
        self.wait(Until::MayApply { lsn, copy }, sink)
    }

    /// Waits until the tape has grown beyond `end`.
    pub(super) fn idle(&mut self, end: End, sink: &mut impl Sink) -> Result<Next, Error> {
        if self.held.is_none() {
            self.state.set(State::Following);
        }
        self.wait(Until::Grows(end), sink)
    }

    fn wait(&mut self, until: Until, sink: &mut impl Sink) -> Result<Next, Error> {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command, sink)?;
            }
            self.expire();
            self.serve(until, sink)?;
            if self.cancel.is_cancelled() {
                return Ok(Next::Stop);
            }
            if !self.restarts.is_empty() || sink.must_restart() {
                return Ok(Next::Restart);
            }
            if self.is_over(until, sink) {
                return Ok(Next::Go);
            }
            self.sleep(until, sink)?;
        }
    }

    fn is_over(&self, until: Until, sink: &impl Sink) -> bool {
        match until {
            Until::MayApply { lsn, .. } => self.held.as_ref().is_none_or(|held| lsn <= held.limit) && sink.has_room(),
            Until::Grows(end) => self.watermark.get() != end,
        }
    }

    /// Sleeps until anything at all happens that the wait looks at.
    fn sleep(&mut self, until: Until, sink: &mut impl Sink) -> Result<(), Error> {
        let lease = self.held.as_ref().map(|held| held.until);
        let (commands, changed, cancel) = (&mut self.commands, &self.changed, &self.cancel);
        let watermark = self.watermark.clone();
        let grown = async {
            match until {
                Until::Grows(end) => drop(watermark.past(end).await),
                Until::MayApply { .. } => std::future::pending().await,
            }
        };
        let expiry = async {
            match lease {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let command = self.runtime.block_on(async {
            tokio::select! {
                command = commands.recv() => command,
                () = grown => None,
                () = changed.notified() => None,
                () = expiry => None,
                () = cancel.cancelled() => None,
            }
        });
        command.map_or(Ok(()), |command| self.obey(command, sink))
    }

    fn expire(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.until <= Instant::now()) {
            tracing::warn!("the hold of the apply ran out: its holder is gone");
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.state.set(State::CatchingUp);
        if let Some(waiting) = self.held.take().and_then(|held| held.waiting) {
            let _ = waiting.send(Err(ControlError::Expired));
        }
    }

    fn obey(&mut self, command: Command, sink: &mut impl Sink) -> Result<(), Error> {
        match command {
            Command::Hold { lease, reply } => {
                let _ = reply.send(self.hold(lease, sink)?);
            }
            Command::ApplyUntil { id, lsn, reply } => {
                let position = sink.view().position;
                match self.held.as_mut().filter(|held| held.id == id) {
                    None => drop(reply.send(Err(ControlError::Expired))),
                    Some(_) if position.lsn > lsn => drop(reply.send(Err(ControlError::Passed(position)))),
                    Some(held) => (held.limit, held.waiting, held.demanded) = (lsn, Some(reply), false),
                }
            }
            Command::Extend { id, lease, reply } => {
                let held = self.held.as_mut().filter(|held| held.id == id);
                let extended = held.map(|held| held.until = Instant::now() + lease.min(LEASE_MAX));
                let _ = reply.send(extended.ok_or(ControlError::Expired));
            }
            Command::Release { id, reply } => {
                let ours = self.held.as_ref().is_some_and(|held| held.id == id);
                if ours {
                    self.let_go();
                }
                let _ = reply.send(if ours { Ok(()) } else { Err(ControlError::Expired) });
            }
            Command::Checkpoint { reply } => {
                sink.flush()?;
                sink.checkpoint(reply);
            }
            Command::Restart { reply } => self.restarts.push(reply),
        }
        Ok(())
    }

    fn hold(&mut self, lease: Duration, sink: &mut impl Sink) -> Result<Result<Hold, ControlError>, Error> {
        if let Some(held) = &self.held {
            return Ok(Err(ControlError::Busy(held.until.saturating_duration_since(Instant::now()))));
        }
        sink.flush()?;
        let position = sink.view().position;
        self.holds += 1;
        let id = HoldId(self.holds);
        let until = Instant::now() + lease.min(LEASE_MAX);
        self.state.set(State::Held);
        self.held = Some(Held { id, until, limit: position.lsn, waiting: None, demanded: false });
        Ok(Ok(Hold { id, position }))
    }

    /// Answers who waits for a position, once everything up to it is applied and durable, and the tape is past it.
    fn serve(&mut self, until: Until, sink: &mut impl Sink) -> Result<(), Error> {
        let Some(held) = self.held.as_mut().filter(|held| held.waiting.is_some()) else { return Ok(()) };
        let applied = match until {
            Until::MayApply { lsn, copy: true } if lsn > held.limit => {
                // What happened before the copy's position is not on the tape: the view would be of no moment at all.
                if let Some(waiting) = held.waiting.take() {
                    let _ = waiting.send(Err(ControlError::Copying));
                }
                return Ok(());
            }
            Until::MayApply { lsn, .. } => lsn > held.limit,
            Until::Grows(end) => end.lsn >= held.limit,
        };
        if !applied {
            return Ok(());
        }
        if !held.demanded {
            sink.progress(held.limit);
            sink.flush()?;
            sink.demand(held.limit);
            held.demanded = true;
        }
        let answer = match sink.stuck() {
            _ if sink.is_durable_at(held.limit) => Ok(sink.view()),
            Some(why) => Err(ControlError::Failed(why)),
            None => return Ok(()),
        };
        if let Some(waiting) = held.waiting.take() {
            let _ = waiting.send(answer);
        }
        Ok(())
    }
}
