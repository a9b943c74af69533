//! Everything that needs a real server.
