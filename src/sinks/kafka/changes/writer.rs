//! What writes records in the form that is configured. Where that has schemas in a registry, they are registered before
//! the first record that needs them.
//!
//! Invariant: nothing is written with a schema that the registry did not take. A registry that does not answer ends the
//! session, which is tried again; one that refuses the schema of a table stops that table's topic.

use super::settings::{Format, Settings};
use crate::model::{Relation, TableName};
use crate::pgoutput::{Logical, TableFacts};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::encode::{Connector, Records, Stamp, TransactionId, Types};
use crate::sinks::kafka::registry::{Registry, RegistryError};
use crate::sinks::kafka::{Table, avro, json};

/// Why a table has nothing that writes its records.
#[derive(Debug)]
pub(super) enum NoTable {
    /// It cannot be produced as configured, others can.
    Stop(String),
    /// Nothing can be produced now.
    Ended(Error),
}

/// Writes records that belong to no table, and makes what writes those of tables.
pub(super) struct Writer {
    connector: Connector,
    form: Form,
}

enum Form {
    Json,
    JsonWithSchemas(Box<Heads>),
    Plain,
    Avro(Box<Registered>),
}

/// The schemas that are the same for every table.
struct Heads {
    messages: json::Heads,
    transactions: json::Heads,
    heartbeats: json::Heads,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            messages: json::Heads::of_messages(),
            transactions: json::Heads::of_transactions(),
            heartbeats: json::Heads::of_heartbeats(),
        }
    }
}

/// A registry, and what it calls the schemas that are the same for every table.
struct Registered {
    registry: Registry,
    messages: Option<avro::Ids>,
    transactions: Option<avro::Ids>,
    heartbeats: Option<avro::Ids>,
}

impl Writer {
    /// Asks nobody yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let form = match &settings.format {
            Format::Json => Form::Json,
            Format::JsonWithSchemas => Form::JsonWithSchemas(Box::default()),
            Format::Plain => Form::Plain,
            Format::Avro(registry) => Form::Avro(Box::new(Registered {
                registry: Registry::new(registry)?,
                messages: None,
                transactions: None,
                heartbeats: None,
            })),
        };
        Ok(Self { connector: Connector::new(&settings.version, &settings.prefix, &settings.database), form })
    }

    /// What writes the records of a table, which go to `topic`.
    pub(super) fn table(
        &mut self,
        topic: &str,
        shown: &Relation,
        facts: Option<&TableFacts>,
        settings: &Settings,
        types: &Types,
    ) -> Result<Table, NoTable> {
        let (connector, modes) = (&self.connector, &settings.modes);
        match &mut self.form {
            Form::Json => Ok(Table::Json(json::Table::new(connector, shown, facts, modes, types))),
            Form::JsonWithSchemas(_) => {
                Ok(Table::Json(json::Table::with_schemas(connector, shown, facts, modes, types)))
            }
            Form::Plain => {
                let taken = shown.columns.iter().find(|column| json::PLAIN_FIELDS.contains(&&*column.name));
                if let Some(column) = taken {
                    let why =
                        format!("its column {} is called as what plain adds to a row: mask it with drop", column.name);
                    return Err(NoTable::Stop(why));
                }
                Ok(Table::Json(json::Table::plain(connector, shown, facts, modes, types)))
            }
            Form::Avro(registered) => {
                let schemas = avro::Schemas::of_table(connector, shown, facts, modes, types);
                let schemas = schemas.map_err(|same| NoTable::Stop(same.to_string()))?;
                let ids = registered.registry.register_topic(topic, &schemas)?;
                Ok(Table::Avro(avro::Table::new(ids, connector, shown, facts, modes, types)))
            }
        }
    }

    /// Appends a logical message.
    pub(super) fn put_message(
        &mut self,
        topic: &str,
        message: &Logical<'_>,
        stamp: &Stamp<'_>,
        records: &mut Records,
    ) -> Result<(), Error> {
        match &mut self.form {
            Form::Json | Form::Plain => json::put_message(None, &self.connector, message, stamp, records),
            Form::JsonWithSchemas(heads) => {
                json::put_message(Some(&heads.messages), &self.connector, message, stamp, records);
            }
            Form::Avro(registered) => {
                avro::put_message(registered.messages(topic)?, &self.connector, message, stamp, records);
            }
        }
        Ok(())
    }

    /// Appends a transaction's begin.
    pub(super) fn put_begin(
        &mut self,
        topic: &str,
        id: TransactionId,
        time_us: i64,
        records: &mut Records,
    ) -> Result<(), Error> {
        match &mut self.form {
            Form::Json | Form::Plain => json::put_begin(None, id, time_us, records),
            Form::JsonWithSchemas(heads) => json::put_begin(Some(&heads.transactions), id, time_us, records),
            Form::Avro(registered) => avro::put_begin(registered.transactions(topic)?, id, time_us, records),
        }
        Ok(())
    }

    /// Appends a transaction's end.
    pub(super) fn put_end<'a>(
        &mut self,
        topic: &str,
        id: TransactionId,
        time_us: i64,
        total: u64,
        tables: impl Iterator<Item = (&'a TableName, u64)>,
        records: &mut Records,
    ) -> Result<(), Error> {
        match &mut self.form {
            Form::Json | Form::Plain => json::put_end(None, id, time_us, total, tables, records),
            Form::JsonWithSchemas(heads) => {
                json::put_end(Some(&heads.transactions), id, time_us, total, tables, records);
            }
            Form::Avro(registered) => {
                avro::put_end(registered.transactions(topic)?, id, time_us, total, tables, records);
            }
        }
        Ok(())
    }

    /// Appends a heartbeat.
    pub(super) fn put_heartbeat(&mut self, topic: &str, now_us: i64, records: &mut Records) -> Result<(), Error> {
        let prefix = &self.connector.name;
        match &mut self.form {
            Form::Json | Form::Plain => json::put_heartbeat(None, prefix, now_us, records),
            Form::JsonWithSchemas(heads) => json::put_heartbeat(Some(&heads.heartbeats), prefix, now_us, records),
            Form::Avro(registered) => avro::put_heartbeat(registered.heartbeats(topic)?, prefix, now_us, records),
        }
        Ok(())
    }
}

impl Registered {
    fn messages(&mut self, topic: &str) -> Result<avro::Ids, Error> {
        known(&mut self.messages, &mut self.registry, topic, avro::Schemas::of_messages)
    }

    fn heartbeats(&mut self, topic: &str) -> Result<avro::Ids, Error> {
        known(&mut self.heartbeats, &mut self.registry, topic, avro::Schemas::of_heartbeats)
    }

    fn transactions(&mut self, topic: &str) -> Result<avro::Ids, Error> {
        known(&mut self.transactions, &mut self.registry, topic, avro::Schemas::of_transactions)
    }
}

/// The numbers of schemas that never change, registered at their first use.
fn known(
    ids: &mut Option<avro::Ids>,
    registry: &mut Registry,
    topic: &str,
    schemas: fn() -> avro::Schemas,
) -> Result<avro::Ids, Error> {
    if let Some(ids) = ids {
        return Ok(*ids);
    }
    let registered = registry.register_topic(topic, &schemas()).map_err(|error| match NoTable::from(error) {
        NoTable::Ended(error) => error,
        NoTable::Stop(said) => {
            let hint = "somebody else's schemas are there: remove the subject, or choose another topic_prefix";
            Refusal::new(Kind::Server, said, hint).into()
        }
    })?;
    Ok(*ids.insert(registered))
}

impl From<RegistryError> for NoTable {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Unreachable { .. } => NoTable::Ended(Error::Unreachable(error.to_string())),
            RegistryError::Incompatible { .. } => NoTable::Stop(error.to_string()),
            RegistryError::Refused(refusal) => NoTable::Ended(refusal.into()),
        }
    }
}
