//! Everything that needs a real server. One module a topic; `common` has the servers.

mod common;

mod cli_bad_input;
mod sandbox;
