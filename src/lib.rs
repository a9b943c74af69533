//! pgtape: change data capture for trading ledgers.
//!
//! Engines commit to Postgres; pgtape reads those commits from a `pgoutput` slot, writes them to a durable, ordered,
//! checksummed log of its own (the *tape*), confirms the slot only for what is fsynced, and feeds sinks from the tape.
//!
//! ```text
//!  engines --commit--> Postgres --WAL, pgoutput slot--> source --append+fsync--> TAPE --> sinks
//!                         ^                               | confirm <= durable            |- standby --> HTTP
//!                         |                               v                               '- rollup  --> Postgres
//!                         '------------- roll-ups ---------------------------------------------'
//! ```
//!
//! The modules stand in reading order: data flows down this list, and so do imports. `source` and `sinks` never import
//! each other; `tape` knows positions and bytes, not Postgres.

mod lock;
pub mod model;
pub mod refusal;

pub mod pg;

pub mod pgoutput;

pub mod source;
pub mod tape;

pub mod sinks;

pub mod verify;

pub mod ops;

pub mod api;

pub mod engines;

pub mod sim;

pub mod sandbox;

pub mod cli;
pub mod config;

pub mod metrics;
pub mod run;
