//! The one handle that may steer the delivery: hold it at a commit, let it go on, have a checkpoint written.
//!
//! A hold is a lease: it ends by itself when its holder is gone. Ingest never waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::model::{Lsn, Position};

use super::standby::View;

/// Names a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct HoldId(pub u64);

/// A hold that was granted.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    /// Its name, for the other calls.
    pub id: HoldId,
    /// Everything up to here is applied, and nothing after.
    pub position: Position,
}

/// Why the delivery did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Someone else holds it: try again later.
    #[error("the apply is held by someone else, for at most {0:?} more")]
    Busy(Duration),
    /// The hold is over: its lease ended, or it never was.
    #[error("this hold is over: its lease has ended")]
    Expired,
    /// The position lies behind what has been applied.
    #[error("the apply is at {0} already, past the wanted position")]
    Passed(Position),
    /// The wanted position lies before a copy that replaces everything.
    #[error("the tables are being copied anew: try again")]
    Copying,
    /// The delivery has ended.
    #[error("the delivery to the sinks has stopped")]
    Stopped,
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// To whom the position of a checkpoint is said.
pub(super) type CheckpointReply = Reply<Position>;

type Reply<T> = oneshot::Sender<Result<T, ControlError>>;

/// What the delivery can be asked; see [`Control`].
#[derive(Debug)]
pub(super) enum Command {
    Hold { lease: Duration, reply: Reply<Hold> },
    ApplyUntil { id: HoldId, lsn: Lsn, reply: Reply<Arc<View>> },
    Extend { id: HoldId, lease: Duration, reply: Reply<()> },
    Release { id: HoldId, reply: Reply<()> },
    Checkpoint { reply: Reply<Position> },
    Restart { reply: Reply<()> },
}

/// Steers the delivery.
#[derive(Debug, Clone)]
pub struct Control(pub(super) mpsc::Sender<Command>);

impl Control {
    /// Stops applying at the next commit boundary, for `lease` at most.
    pub async fn hold(&self, lease: Duration) -> Result<Hold, ControlError> {
        self.ask(|reply| Command::Hold { lease, reply }).await
    }

    /// Under a hold: applies exactly the transactions that end at or before `lsn`, waits until the tape has passed it and
    /// every roll-up has committed its position there, and returns the view. Applying stays held.
    pub async fn apply_until(&self, id: HoldId, lsn: Lsn) -> Result<Arc<View>, ControlError> {
        self.ask(|reply| Command::ApplyUntil { id, lsn, reply }).await
    }

    /// Gives the hold a new lease from now.
    pub async fn extend(&self, id: HoldId, lease: Duration) -> Result<(), ControlError> {
        self.ask(|reply| Command::Extend { id, lease, reply }).await
    }

    /// Lets the apply go on.
    pub async fn release(&self, id: HoldId) -> Result<(), ControlError> {
        self.ask(|reply| Command::Release { id, reply }).await
    }

    /// Lets the apply go on when what is returned is dropped: also when whoever holds it is gone in the middle.
    #[must_use]
    pub fn release_on_drop(&self, id: HoldId) -> Release {
        Release { control: self.clone(), id }
    }

    /// Writes a checkpoint now and returns its position once it is durable.
    pub async fn checkpoint(&self) -> Result<Position, ControlError> {
        self.ask(|reply| Command::Checkpoint { reply }).await
    }

    /// Reads the roll-ups' positions again and starts over from a checkpoint at or below them: after a rewind or a
    /// rebuild. Readers keep the newest view meanwhile. Returns once the positions have been read.
    pub async fn restart(&self) -> Result<(), ControlError> {
        self.ask(|reply| Command::Restart { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| ControlError::Stopped)?;
        answer.await.map_err(|_| ControlError::Stopped)?
    }
}

/// See [`Control::release_on_drop`].
#[derive(Debug)]
pub struct Release {
    control: Control,
    id: HoldId,
}

impl Drop for Release {
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        let _ = self.control.0.try_send(Command::Release { id: self.id, reply }); // If not, the lease ends by itself.
    }
}
