//! What the service says to a person: when it is ready, and when it goes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::status::Scene;

/// Says once, on stderr, what is there and where.
pub(super) async fn when_ready(scene: Arc<Scene>, address: SocketAddr) {
    scene.ready().await;
    let status = scene.status();
    let rows: u64 = status.tables.iter().map(|t| t.rows).sum();
    let (slot, durable, tables) = (&status.slot.name, status.tape.durable.lsn, status.tables.len());
    eprintln!("pgtape: ready; slot {slot} at {durable}; {tables} tables, {rows} rows; http://{address}/v1/status");
}

/// What is left behind.
pub(super) struct Parting {
    slot: String,
    database: String,
    copied: bool,
}

impl Parting {
    pub fn of(scene: &Scene) -> Self {
        let address = scene.config.postgres.as_ref();
        Self {
            slot: scene.config.source.slot.clone(),
            database: address.map(ToString::to_string).unwrap_or_default(),
            copied: scene.tape.watermark.get().epoch > 0,
        }
    }

    /// Says that the slot keeps WAL.
    pub fn say(&self) {
        if self.copied {
            eprintln!(
                "pgtape: stopped; slot {} of {} keeps WAL until pgtape runs again; remove it with: pgtape slot drop --reason '...'",
                self.slot, self.database
            );
        }
    }
}
