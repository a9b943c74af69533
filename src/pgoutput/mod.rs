//! Bytes <-> messages of Postgres's `pgoutput` plugin, protocol 1, text format. Pure: no I/O, no catalog, no clock.
//!
//! ```text
//! B  final_lsn:u64 commit_time:i64 xid:u32                      C  flags:u8 commit_lsn:u64 end_lsn:u64 time:i64
//! O  origin_lsn:u64 name:cstr                                   Y  oid:u32 schema:cstr name:cstr
//! R  id:u32 schema:cstr name:cstr identity:u8 n:i16 { flags:u8 name:cstr type:u32 modifier:i32 } x n
//! I  id:u32 'N' tuple         U  id:u32 [('K'|'O') tuple] 'N' tuple         D  id:u32 ('K'|'O') tuple
//! T  n:i32 options:u8 id:u32 x n                                M  flags:u8 lsn:u64 prefix:cstr n:i32 byte x n
//! @  pgtape's own, never sent by a server: what R does not say of a table (see `facts`)
//! tuple: n:i16 { 'n' | 'u' | ('t' n:i32 byte x n) } x n         integers big-endian, cstr ends with a zero byte
//! ```
//!
//! Invariants: `decode` never panics and never allocates by a length it was told, except for the columns of a Relation,
//! which are bounded by the bytes that are there; what it accepts is consumed to the last byte; a decoded tuple has been
//! walked, so its cells cannot fail. Knows nothing of the tape, and nothing of what a value means.

pub mod cast;
mod copy_text;
mod decode;
mod encode;
mod facts;
mod message;
mod relations;
mod tuple;

pub use copy_text::{CopyTextError, insert_from_copy_text};
pub use decode::{DecodeError, decode};
pub use encode::{
    encode_begin, encode_commit, encode_delete, encode_insert, encode_logical, encode_relation, encode_truncate,
    encode_type, encode_update,
};
pub use facts::{FACTS_TAG, Lineage, TableFacts};
pub use message::{Begin, ColumnDescription, Commit, Logical, Message, OldKind, RelationDescription, ops};
pub use relations::{RelationChange, Relations, compare};
pub use tuple::{Cell, Cells, Tuple, TupleBuffer};

/// Microseconds from the Unix epoch to Postgres's (2000-01-01).
pub const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
