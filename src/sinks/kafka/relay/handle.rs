//! What the rest of the service sees of a Kafka sink, and what it may ask of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::model::Position;
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::Stop;
use crate::sinks::status::State;

/// Commands that may wait.
pub(super) const COMMANDS_MAX: usize = 8;

/// A Kafka transaction that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Transacted {
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
    /// Records in it, progress and notes not counted.
    pub records: u64,
    /// Bytes of their keys, values and headers.
    pub bytes: u64,
    /// From the first record to the answer of the coordinator, milliseconds.
    pub took_ms: u64,
}

/// How a Kafka sink is doing.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it is doing.
    pub state: State,
    /// Everything up to here is committed in Kafka.
    pub position: Position,
    /// The epoch of that position.
    pub epoch: u32,
    /// Commit time of the last source transaction in it.
    pub commit_time_us: i64,
    /// How often an operator moved it.
    pub moves: u64,
    /// Records produced, ever.
    pub records: u64,
    /// Bytes of keys, values and headers, since the start of the service.
    pub bytes: u64,
    /// Kafka transactions, since the start of the service.
    pub transactions: u64,
    /// Records that went into quarantine, ever.
    pub quarantined: u64,
    /// The last transaction.
    pub last: Option<Transacted>,
    /// Topics that have stopped.
    pub stopped: Vec<Stop>,
    /// What is wrong, if something is.
    pub error: Option<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            state: State::Starting,
            position: Position::ZERO,
            epoch: 0,
            commit_time_us: 0,
            moves: 0,
            records: 0,
            bytes: 0,
            transactions: 0,
            quarantined: 0,
            last: None,
            stopped: Vec::new(),
            error: None,
        }
    }
}

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
