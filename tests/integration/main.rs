//! Everything that needs a real server. One module a topic; `common` has the servers.

mod common;

mod architecture;
mod cli_bad_input;
mod cli_operators;
mod crash;
mod demo;
mod documents;
mod engines_retry;
mod events_aether;
mod events_meltica;
mod events_openmatch;
mod events_perplex;
mod events_worker;
mod foreign;
mod kafka;
mod kafka_avro;
mod kafka_json;
#[cfg(feature = "kafka")]
mod kafka_topics;
mod migrations;
mod rollup_sql;
mod sandbox;
mod sim_aether_worker;
mod sim_check;
mod sim_runs;
mod sinks_rollup;
mod sinks_standby;
mod source;
mod standby_memory;
mod verify;
