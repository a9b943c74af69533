//! Makes a roll-up anew from the tables, by its definition, at one exact position.
//!
//! The caller holds the apply, knows the position C of an exported snapshot, and has had everything up to C applied; then
//! the definition is run under that snapshot, and its result replaces the target at C. Reading and replacing are two
//! transactions: one that reads as of C could not change rows that were written after it.

use bigdecimal::BigDecimal;
use tokio_postgres::GenericClient;

use super::contract::{GroupKey, RollUp, Target};
use super::deltas::Deltas;
use crate::model::TableName;
use crate::pg::{self, identifier};
use crate::refusal::{Kind, Refusal};
use crate::sinks::numbers;

/// What a definition gives, as seen by `client`: inside a transaction with the snapshot of the wanted position.
pub async fn by_definition(
    client: &impl GenericClient,
    rollup: &dyn RollUp,
    definition: &str,
) -> Result<Deltas, pg::Error> {
    read(client, rollup.target(), &format!("({definition})")).await
}

/// What a target holds, as seen by `client`.
pub async fn of_target(client: &impl GenericClient, rollup: &dyn RollUp) -> Result<Deltas, pg::Error> {
    let target = rollup.target();
    read(client, target, &pg::table(&target.table)).await
}

async fn read(client: &impl GenericClient, target: &Target, from: &str) -> Result<Deltas, pg::Error> {
    let column = |(name, _): &(&str, &str)| format!("{}::text", identifier(name));
    let columns: Vec<String> = target.keys.iter().chain(&target.measures).map(column).collect();
    let sql = format!("SELECT {}, contributions::bigint FROM {from} AS content", columns.join(", "));
    let mut content = Deltas::default();
    for row in client.query(&sql, &[]).await? {
        let text = |i: usize| row.get::<_, Option<String>>(i).unwrap_or_default();
        let keys: Vec<String> = (0..target.keys.len()).map(text).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let measures: Result<Vec<BigDecimal>, pg::Error> = (target.keys.len()..columns.len())
            .map(|i| numbers::decimal(text(i).as_bytes()).map_err(|why| unusable(&target.table, &columns[i], why)))
            .collect();
        content.put(GroupKey::new(&keys), measures?, row.get(columns.len()));
    }
    Ok(content)
}

fn unusable(target: &TableName, column: &str, why: &str) -> pg::Error {
    let what = format!("{column} of {target} {why}");
    Refusal::new(Kind::Server, what, "see pgtape quarantine list, and correct the row").into()
}
