//! Debezium's records in Avro, in the wire format of Confluent's schema registry: `00`, the schema's number in four bytes,
//! then Avro's binary form.
//!
//! `schema` makes the schemas of a table, `constants` holds those of everything else; `atoms` write values, `envelope` what
//! stands around rows. Whoever calls registers the schemas and hands in their numbers: nothing here knows a registry.
//!
//! Decided here: the headers of a changed key hold that key as the record's key would be. An array of several dimensions,
//! a large value that was not sent again where its form is no text or bytes, and a NULL in the key are [`super::Unfit`].
//!
//! Invariant: what one call appends is what the schema of the same arguments describes, or nothing.

mod atoms;
mod constants;
mod envelope;
mod names;
mod schema;
#[cfg(test)]
mod tests;

pub use atoms::Avro;
pub use envelope::{Envelope, Ids, put_begin, put_end, put_heartbeat, put_message};
pub use schema::{SameName, Schemas};

/// Writes the records of one table as Avro.
pub type Table = super::encode::Changes<Envelope>;
