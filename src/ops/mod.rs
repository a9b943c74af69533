//! What operators do: every command that moves a position or deletes is plan, say, confirm, apply, log, in that order.
//!
//! Invariant: nothing is changed before the plan has been said and agreed to, and whatever was tried is logged.
//! Knows no terminal: who is asked, and how, comes in as [`Ask`].

pub mod doctor;
pub mod kafka;
pub mod outbox;
pub mod quarantine;
pub mod rewind;
pub mod sink;
pub mod slot;
pub mod tape;
pub mod uninstall;
pub mod when;

mod log;
mod perform;

pub use log::LOG_FILE;

/// The running service notes in this file of the data directory where it listens, so that commands find it.
pub const ADDRESS_FILE: &str = "http.address";

pub use perform::{Ask, Command, Outcome, Plan, Terms, perform};
