//! What the rest of the service sees of a Kafka sink, and what it may ask of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::sinks::kafka::outbox::StatusHandle;
use crate::sinks::kafka::report::{OutboxReport, Report};

/// Commands that may wait.
pub(super) const COMMANDS_MAX: usize = 8;

/// An order, and who waits for what becomes of it.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) order: Order,
    pub(super) reply: oneshot::Sender<Result<Obeyed, Refusal>>,
}

/// An order that was not answered within this time is given up.
const ORDER_TIMEOUT: Duration = Duration::from_secs(30);

/// A Kafka sink, to look at and to steer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) name: Arc<str>,
    pub(super) report: Arc<Mutex<Report>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) outbox: Option<StatusHandle>,
}

impl Handle {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rows of its outbox, if it relays one.
    #[must_use]
    pub fn outbox(&self) -> Option<&StatusHandle> {
        self.outbox.as_ref()
    }

    /// How it is doing.
    #[must_use]
    pub fn report(&self) -> Report {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outbox = self.outbox.as_ref().map(|outbox| {
            let marker = outbox.marker();
            let (waiting, unmarked) = (outbox.overview().parked as u64, marker.unmarked as u64);
            OutboxReport { waiting, unmarked, error: marker.error }
        });
        Report { outbox, ..report }
    }

    /// Has an order obeyed.
    pub async fn order(&self, order: Order) -> Result<Obeyed, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            let what = format!("the Kafka sink {} has too much to do, or has ended", self.name);
            Refusal::new(Kind::Unreachable, what, "look at it with: pgtape status; then try again")
        };
        self.commands.try_send(Command { order, reply }).map_err(|_| gone())?;
        match tokio::time::timeout(ORDER_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            // Nobody waits any more: what has not begun is dropped.
            Err(_) => {
                let waited = ORDER_TIMEOUT.as_secs();
                let what = format!(
                    "the Kafka sink {} did not come to it within {waited} s, and was told to leave it",
                    self.name
                );
                let hint = "Kafka may be away: pgtape status says so. Look where it stands with: pgtape kafka show";
                Err(Refusal::new(Kind::Unreachable, what, hint))
            }
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
