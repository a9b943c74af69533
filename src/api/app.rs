//! What the service gives to HTTP, and what handlers share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::{ApiError, Code};
use super::kafka::KafkaOrders;
use super::status::Status;
use crate::model::{Lsn, Position};
use crate::ops::outbox::Outboxes;
use crate::refusal::Refusal;
use crate::sinks::standby::StandbyReader;

/// A verification under way.
pub type VerifyFuture = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;

/// Makes a verification: holds the sinks at one position, compares, releases. One at a time; a second one is refused
/// with [`crate::refusal::Kind::Locked`].
pub trait VerifyHandle: Send + Sync {
    /// Starts one; the report is the answer. Dropping the future releases the sinks.
    fn verify(&self) -> VerifyFuture;
}

/// What the service gives to read. Nothing in it can write, but for `verify`.
#[derive(Clone)]
pub struct Service {
    /// The whole service at this moment.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The metrics as text, for a status.
    pub metrics: Arc<dyn Fn(&Status) -> String + Send + Sync>,
    /// The tables and books; `None` when the service runs without.
    pub standby: Option<StandbyReader>,
    /// Asks the source to move the tape past this LSN, which an idle database would not do by itself.
    pub nudge: Arc<dyn Fn(Lsn) + Send + Sync>,
    /// Makes verifications.
    pub verify: Arc<dyn VerifyHandle>,
    /// Gives orders to Kafka sinks.
    pub kafka: Arc<dyn KafkaOrders>,
    /// Outboxes that sinks relay; `None` where there is none.
    pub outboxes: Option<Arc<Outboxes>>,
    /// Ends streamed answers.
    pub stop: CancellationToken,
}

/// Bounds of the service.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests answered at the same time.
    pub requests_max: usize,
    /// Snapshots streamed at the same time.
    pub snapshots_max: usize,
    /// An answer (its head, for a streamed one) may take this long, waiting for a position not counted.
    pub request_timeout: Duration,
}

/// What handlers share.
#[derive(Clone)]
pub(super) struct App {
    pub service: Service,
    pub limits: Limits,
    requests: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
}

impl App {
    /// With all its room free.
    pub fn new(service: Service, limits: Limits) -> Self {
        let room = |places| Arc::new(Semaphore::new(places));
        Self { service, limits, requests: room(limits.requests_max), snapshots: room(limits.snapshots_max) }
    }

    /// The newest position that reads see.
    pub fn position(&self) -> Position {
        match &self.service.standby {
            Some(standby) => standby.view().position,
            None => (self.service.status)().tape.durable,
        }
    }

    /// The right to be answered now.
    pub fn turn(&self) -> Result<Turn, ApiError> {
        place(&self.requests, "too many requests at a time").map(|permit| Turn(Arc::new(permit)))
    }

    /// Room for one more snapshot.
    pub fn snapshot_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        place(&self.snapshots, "too many snapshots at a time")
    }
}

/// The right to be answered, given back when it is dropped.
#[derive(Clone)]
pub(super) struct Turn(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

fn place(room: &Arc<Semaphore>, full: &str) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(room).try_acquire_owned().map_err(|_| ApiError::new(Code::Busy, full, "come back a little later"))
}
