//! HTTP. Not written yet.

/// The running service notes in this file of the data directory where it listens.
pub const ADDRESS_FILE: &str = "http.address";
