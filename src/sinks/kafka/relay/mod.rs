//! The loop of a Kafka sink, on a thread of its own.
//!
//! ```text
//!  session: take the id ─▶ read progress ─▶ [copy] ─▶ unit, unit, .. ─▶ commit ─▶ unit, .. ─▶ commit ─▶ ..
//!     ▲                                                                  │ doubt
//!     └──────────────────────── a new producer, from the progress record ◀┘
//! ```
//!
//! Invariants: progress is the last record of each Kafka transaction; a source transaction is not split unless it alone is
//! larger than the bounds; who is fenced never tries again. The tape is pinned at what is committed.

mod before;
mod begin;
mod catch_up;
mod copy;
mod handle;
mod idle;
mod limits;
mod look;
mod obey;
mod probe;
mod replay;
mod sender;
mod session;
mod stand;
mod thread;
mod work;

pub use before::Past;
pub use begin::refuse_properties;
pub use handle::Handle;
pub use look::{Look, look};
pub use obey::obey_alone;
pub use probe::{Probe, Verdict, probe};
pub use replay::replay;
pub use thread::{Only, Setup, pin_as_noted, start};
