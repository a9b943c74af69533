//! What the rest of the service sees of a Kafka sink, and what it may ask of it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::model::Position;
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::Stop;
use crate::sinks::kafka::report::Report;

/// Commands that may wait.
pub(super) const COMMANDS_MAX: usize = 8;

type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What a Kafka sink can be asked.
#[derive(Debug)]
pub enum Command {
    /// Go back, or on, to a position; answers with where it stood.
    Move {
        /// Everything after here is produced (again).
        to: Position,
        /// Answered when the move is committed.
        reply: Reply<Position>,
    },
    /// Let topics that have stopped go on, with what they are owed.
    Resume {
        /// One table, or all.
        table: Option<crate::model::TableName>,
        /// Answered with the tables that go on.
        reply: Reply<Vec<Stop>>,
    },
}

/// A Kafka sink, to look at and to steer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) name: Arc<str>,
    pub(super) report: Arc<Mutex<Report>>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves it to `to`: what is after that is produced again, or what is before it never. Answers with where it stood.
    pub async fn move_to(&self, to: Position) -> Result<Position, Refusal> {
        self.ask(|reply| Command::Move { to, reply }).await
    }

    /// Lets topics that have stopped go on.
    pub async fn resume(&self, table: Option<crate::model::TableName>) -> Result<Vec<Stop>, Refusal> {
        self.ask(|reply| Command::Resume { table, reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            let what = format!("the Kafka sink {} is not at work", self.name);
            Refusal::new(Kind::Unreachable, what, "look at its error: pgtape status; then try again")
        };
        self.commands.try_send(command(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
