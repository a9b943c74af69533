//! An outbox as a sink has it: what is configured, and the desk that lives as long as the process.

use std::sync::Arc;

use super::desk::{Desk, StatusHandle};
use super::feed::OutboxFeed;
use super::marker::Marker;
use crate::config::KafkaOutbox;
use crate::pg::Address;

/// What feeds and the marker of one sink share.
#[derive(Debug, Clone)]
pub struct Setup {
    settings: Arc<KafkaOutbox>,
    desk: Arc<Desk>,
}

impl Setup {
    /// With an empty desk.
    #[must_use]
    pub fn new(settings: KafkaOutbox) -> Self {
        Self { settings: Arc::new(settings), desk: Arc::new(Desk::default()) }
    }

    /// A feed for a new session.
    #[must_use]
    pub fn feed(&self) -> OutboxFeed {
        OutboxFeed::new(Arc::clone(&self.settings), Arc::clone(&self.desk))
    }

    /// What others see of it.
    #[must_use]
    pub fn status(&self) -> StatusHandle {
        StatusHandle::new(Arc::clone(&self.desk), self.settings.unmarked_bytes_max)
    }

    /// Writes the marks: at the outbox's own address, or else at the `service`'s.
    #[must_use]
    pub fn marker(&self, service: &Address) -> Marker {
        let address = self.settings.address.as_ref().unwrap_or(service).clone();
        Marker { settings: Arc::clone(&self.settings), desk: Arc::clone(&self.desk), address }
    }
}
