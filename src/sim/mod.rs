//! Simulated engines: load for demo, tests and benches, and the witnesses of the final proof.
//!
//! ```text
//!  decide (seed, event number, state) --> record: "in flight" --> writer --> Postgres
//!          ^                                                         | committed
//!          '----------- fold into state <-- record: acknowledged <---'
//! ```
//!
//! Each engine is a few *actors*. An actor is the only writer of its rows and does one event at a time, so it knows what
//! every one of its rows must look like. What it knows stands in its [`record`], outside Postgres, fsynced at each
//! acknowledgement; [`check`] compares rows with it. After a kill an actor repeats the event that was in flight and takes
//! its state from the standby.
//!
//! Invariant: the same seed and start time give the same rows, however often engines or servers are killed in between.

mod actor;
mod aether;
pub mod check;
mod dice;
mod drive;
mod meltica;
mod openmatch;
mod perplex;
pub mod record;
#[cfg(test)]
mod rehearsal;
mod rehydrate;
mod run;
mod worker;
mod world;

pub use actor::{Actor, Effect, Image, Moment, Rows, image, jsonb_text, text, timestamp_text};
pub use dice::Dice;
pub use run::{ActorReport, Error, Report, SimSettings, run};
pub use world::{World, column, fixed, units};
