//! Sinks: consumers of the tape, each with a durable position of its own.
//!
//! `deliver` is the loop; the standby applies, and the roll-ups take their contributions while it does. Knows the tape,
//! never the source.

mod background;
pub mod checkpoints;
pub mod contract;
pub mod control;
pub mod cursor;
mod deliver;
mod error;
mod gate;
mod handles;
pub mod kafka;
pub mod numbers;
pub mod quarantine;
mod quarantines;
pub mod rollup;
pub mod standby;
mod start;
pub mod status;
mod step;

pub use background::{PIN, ROWS_PIN};
pub use contract::Sink;
pub use control::{Control, ControlError, Hold, HoldId, Release};
pub use error::Error;
use handles::indexes_of;
pub use handles::{Handles, Settings, start};
pub use quarantines::Quarantines;
pub use status::{SinkStatus, State};
pub use step::BATCH_MESSAGES_MAX;
