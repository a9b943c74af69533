//! Starting over: the slot is dropped, and the next run copies everything as a new epoch, which sinks *replace* by.

use crate::pg::Address;
use crate::tape::{Intent, Recovered, Writer};

use super::error::Error;
use super::slot;

/// Says on the tape that a copy is due, then drops the slot. In this order: cut short in between, the next run drops the
/// slot itself. Returns whether there was a slot.
pub async fn reset(address: &Address, slot: &str, writer: &mut Writer, recovered: &Recovered) -> Result<bool, Error> {
    writer.intent(Intent { slot: slot.to_owned(), epoch: recovered.epoch + 1, tables: Vec::new() })?;
    writer.sync()?;
    fail::fail_point!("source::mid-reset");
    slot::drop(address, slot).await
}
