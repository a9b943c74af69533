//! The engines' schemas and event files, as tests use them.

use std::path::Path;

use pgtape::engines::migrate::{self, Action, Report};
use pgtape::engines::{Options, Store};
use pgtape::pg::Address;
use pgtape::sandbox::Database;

/// The address in the form the program uses.
pub fn address(url: &str) -> Address {
    url.parse().unwrap_or_else(|e| panic!("{e}"))
}

/// Runs migrations; `only` names a unit.
pub async fn migrate(url: &str, action: Action, only: Option<&str>) -> Report {
    migrate::run(&address(url), action, only).await.unwrap_or_else(|e| panic!("{e}"))
}

/// A fresh database with the schema of `engine`.
pub async fn engine_database(engine: &str) -> Database {
    let database = super::database();
    migrate(&database.url(), Action::Up, Some(engine)).await;
    database
}

/// A store as an engine has it.
pub fn store(database: &Database) -> Store {
    Store::new(address(&database.url()), Options::default())
}

/// A file below `sql/`.
pub fn sql(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs an event file with psql, as an engine in another language would send it. `arguments` are SQL literals.
pub fn event(database: &Database, path: &str, arguments: &[&str]) -> String {
    let statement = format!("PREPARE event AS {};\nEXECUTE event({})", sql(path), arguments.join(", "));
    database.psql(&statement).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All rows of a table as text, sorted; columns in `without` are what the server fills.
pub fn rows(database: &Database, table: &str, without: &[&str]) -> String {
    let without: Vec<String> = without.iter().map(|column| format!("'{column}'")).collect();
    let without = format!("ARRAY[{}]::text[]", without.join(", "));
    database.psql(&format!("SELECT to_jsonb(t) - {without} FROM {table} t ORDER BY 1")).unwrap()
}
