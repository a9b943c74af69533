//! What the service says to a person: when it is ready, and when it goes.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use super::status::Scene;
use crate::model::Position;

/// Says once, on stderr, what is there and where.
pub(super) async fn when_ready(scene: Arc<Scene>, address: SocketAddr) {
    scene.ready().await;
    let status = scene.status();
    // As the doctor counts them: pgtape's heartbeat is not one of theirs.
    let theirs: Vec<u64> = status.tables.iter().filter(|t| &*t.table.schema != "pgtape").map(|t| t.rows).collect();
    let (tables, rows) = (theirs.len(), theirs.iter().sum::<u64>());
    let (slot, durable) = (&status.slot.name, status.tape.durable.lsn);
    eprintln!("pgtape: ready; slot {slot} at {durable}; {tables} tables, {rows} rows; http://{address}/v1/status");
}

/// What a service that has stopped leaves behind, and how to go on.
#[derive(Debug, Serialize)]
pub struct Stopped {
    stopped: bool,
    slot: String,
    #[serde(skip)]
    database: String,
    /// The end of what is durable on the tape.
    position: Position,
    epoch: u32,
    next: &'static str,
}

impl Stopped {
    pub(super) fn of(scene: &Scene) -> Self {
        let (address, end) = (scene.config.postgres.as_ref(), scene.tape.watermark.get());
        Self {
            stopped: true,
            slot: scene.config.source.slot.clone(),
            database: address.map(ToString::to_string).unwrap_or_default(),
            position: Position::whole(end.lsn),
            epoch: end.epoch,
            next: match end.epoch {
                0 => "nothing was copied yet: pgtape run begins",
                _ => "the slot keeps WAL: pgtape run goes on from the position, pgtape slot drop removes the slot",
            },
        }
    }

    /// Says that the slot keeps WAL.
    pub(super) fn say(&self) {
        if self.epoch > 0 {
            eprintln!(
                "pgtape: stopped; slot {} of {} keeps WAL until pgtape runs again; remove it with: pgtape slot drop --reason '...'",
                self.slot, self.database
            );
        }
    }
}
