//! Sinks: consumers of the tape, each with a durable position of its own.
//!
//! `deliver` is the loop; the standby applies, and the roll-ups take their contributions while it does. Knows the tape,
//! never the source.

pub mod control;
pub mod numbers;
pub mod rollup;
pub mod standby;
pub mod status;

pub use control::{Control, ControlError, Hold, HoldId};
pub use status::{SinkStatus, State};
