//! Slot, copy, stream and refusals of the source, on real servers.

mod copy;
mod login;
mod refresh;
mod refusals;
mod rig;
mod stream;

/// Where the log is after everything this session committed.
pub const HERE: &str = "SELECT pg_current_wal_insert_lsn();";
