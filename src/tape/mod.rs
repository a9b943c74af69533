//! The tape: a durable, ordered, checksummed log of whole transactions, in segment files of its own.
//!
//! ```text
//!  begin push commit                    sync                     next
//!  ----------------> writer > segment ------> files, watermark ------> reader > window > format
//!                      ^                                          ^
//!                      '-- recover > scan (what was there before)  '-- retain (oldest first), info, verify, find
//! ```
//!
//! Invariant: nothing is called durable before it is fsynced, and nothing that is proven durable is ever cut. Knows
//! positions and bytes. Knows nothing of Postgres: messages are opaque, but for the tag of those that describe tables,
//! which a reader that starts within a segment must have.

mod bodies;
mod chain;
mod cursor;
mod disk;
mod error;
mod fields;
mod find;
mod follow;
mod format;
mod info;
mod pack;
mod reader;
mod records;
mod recover;
pub mod reserve;
mod retain;
mod scan;
mod schema;
mod segment;
mod types;
mod verify;
mod watermark;
mod window;
mod writer;

pub use cursor::{Cursor, CursorFile, load_checked, save_checked};
pub use disk::refuse_if_locked;
pub use error::Error;
pub use find::{AtTime, first_at_or_after};
pub use follow::Follower;
pub use info::{Info, SegmentInfo, Usage, info, usage};
pub use reader::{Entry, Messages, Reader, Transaction};
pub use retain::{Lost, Pins, Policy, Retained, retain};

pub use types::{Begin, Gap, Head, Intent, Kind, Origin, Proof, TapeId};
pub use verify::{FrameFacts, Report, Tail, frames, verify};
pub use watermark::{End, Watermark};
pub use writer::{Durable, Options, Recovered, Writer};

#[cfg(test)]
mod tests;
