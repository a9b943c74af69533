//! An event: its name and the SQL file that commits it.

/// A business event. `sql` is one statement with parameters `$1..`, each with an explicit cast, and answers one row whose
/// first column is `applied`: true when this call changed something. A second column `known`, if there is one, is true when
/// the event stands, by this call or an earlier attempt; false means that it was refused and nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// `schema.event`, as metrics and errors show it.
    pub name: &'static str,
    /// The statement, comments and all: exactly the file.
    pub sql: &'static str,
}

/// The event `schema.name`, from `sql/engines/<schema>/events/<name>.sql`.
macro_rules! event {
    ($schema:literal, $name:literal) => {
        $crate::engines::Event {
            name: concat!($schema, ".", $name),
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/engines/", $schema, "/events/", $name, ".sql")),
        }
    };
}
pub(crate) use event;

/// The query `schema.name`, from `sql/engines/<schema>/queries/<name>.sql`. Any number of rows, no `applied` column.
macro_rules! query {
    ($schema:literal, $name:literal) => {
        $crate::engines::Event {
            name: concat!($schema, ".", $name),
            sql: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/sql/engines/",
                $schema,
                "/queries/",
                $name,
                ".sql"
            )),
        }
    };
}
pub(crate) use query;
