//! Everything that needs a real server. One module a topic; `common` has the servers.

mod common;

mod cli_bad_input;
mod events_aether;
mod events_worker;
mod migrations;
mod rollup_sql;
mod foreign;
mod sandbox;
