//! What all formats of records share: which values a column has, what a row's key is, which records a change makes.
//!
//! [`Atoms`] are what a format writes values with, a [`Frame`] is what it writes around rows. From the bottom up: `types` and
//! `modes` choose a column's form, `value` reads Postgres's text and writes it with atoms, `row` writes rows and keys,
//! `table` turns a change into its [`Records`].
//!
//! Invariants: a format decides how a value looks, never which value it is; what one call appends is complete, or nothing.
//! No allocation a row, but where `value` says so.

mod array;
mod atoms;
mod binary;
mod calendar;
mod decimal;
mod hstore;
mod modes;
mod number;
mod records;
mod row;
mod source;
mod stamp;
mod table;
mod time;
mod types;
mod value;

pub use atoms::Atoms;
pub(super) use decimal::Form as DecimalForm;
pub use modes::{Compat, Decimals, Intervals, Modes, Times};
pub(super) use number::{print, put_number};
pub use records::{Header, Record, Records};
pub(super) use row::key_columns;
pub use source::{Connector, Place, Snapshot};
pub(super) use source::{milliseconds, nanoseconds, put_sequence};
pub use stamp::{InTransaction, Stamp, TransactionId};
pub use table::{Changes, Frame, Rows};
pub(super) use time::Unit;
pub use types::Types;
pub(super) use types::{Meaning, Precision, Width};
pub(super) use value::Form;
pub use value::{Encoder, UNAVAILABLE};
