//! Everything that needs a real server. One module a topic; `common` has the servers.

mod common;

mod architecture;
mod cli_bad_input;
mod crash;
mod demo;
mod events_aether;
mod events_worker;
mod foreign;
mod migrations;
mod rollup_sql;
mod sandbox;
mod sim_aether_worker;
mod sim_runs;
