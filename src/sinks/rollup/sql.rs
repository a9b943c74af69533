//! The statements that change a roll-up's target. Values travel as text and are cast by the server: exact, any type.

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::contract::Target;
use super::deltas::Deltas;
use crate::pg::{self, identifier};

/// Groups written by one statement.
const GROUPS_MAX: usize = 5_000;

/// The statements of one target.
#[derive(Debug)]
pub struct Statements {
    keys: usize,
    measures: usize,
    add: String,
    remove_empty: String,
    empty: String,
}

impl Statements {
    /// For this target.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        let table = pg::table(&target.table);
        let names = |columns: &[(&str, &str)]| columns.iter().map(|(name, _)| identifier(name)).collect::<Vec<_>>();
        let (keys, measures) = (names(&target.keys), names(&target.measures));
        let columns: Vec<&(&str, &str)> = target.keys.iter().chain(&target.measures).collect();
        let casts: Vec<String> = columns.iter().enumerate().map(|(i, (_, sql))| format!("c{}::{sql}", i + 1)).collect();
        let count = columns.len();
        let arrays = |n: usize| (1..=n).map(|i| format!("${i}::text[]")).collect::<Vec<_>>().join(", ");
        let aliases = |n: usize| (1..=n).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
        let sums: Vec<String> = measures.iter().map(|m| format!("{m} = t.{m} + excluded.{m}")).collect();
        let same: Vec<String> = target
            .keys
            .iter()
            .enumerate()
            .map(|(i, (k, sql))| format!("t.{} = d.c{}::{sql}", identifier(k), i + 1))
            .collect();
        Self {
            add: format!(
                "INSERT INTO {table} AS t ({keys}, {measures}, contributions) SELECT {casts}, n \
                 FROM unnest({arrays}, ${n}::bigint[]) AS d({aliases}, n) ON CONFLICT ({keys}) DO UPDATE SET {sums}, \
                 contributions = t.contributions + excluded.contributions, updated_at = now()",
                keys = keys.join(", "),
                measures = measures.join(", "),
                casts = casts.join(", "),
                arrays = arrays(count),
                n = count + 1,
                aliases = aliases(count),
                sums = sums.join(", "),
            ),
            remove_empty: format!(
                "DELETE FROM {table} AS t USING unnest({}) AS d({}) WHERE {} AND t.contributions = 0",
                arrays(keys.len()),
                aliases(keys.len()),
                same.join(" AND "),
            ),
            empty: format!("DELETE FROM {table}"),
            keys: keys.len(),
            measures: measures.len(),
        }
    }

    /// Removes every group.
    pub async fn empty(&self, transaction: &Transaction<'_>) -> Result<(), pg::Error> {
        transaction.execute(&self.empty, &[]).await?;
        Ok(())
    }

    /// Adds deltas to the groups, and removes those to which nothing contributes any more.
    pub async fn add(&self, transaction: &Transaction<'_>, deltas: &Deltas) -> Result<(), pg::Error> {
        let mut groups: Vec<_> = deltas.iter().collect();
        groups.sort_by_key(|(group, _)| *group); // Always the same order of locks.
        for chunk in groups.chunks(GROUPS_MAX) {
            let mut columns: Vec<Vec<String>> = vec![Vec::with_capacity(chunk.len()); self.keys + self.measures];
            let mut contributions = Vec::with_capacity(chunk.len());
            for (group, sum) in chunk {
                let values = group.parts().map(str::to_owned).chain(sum.measures.iter().map(|m| m.to_plain_string()));
                columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
                contributions.push(sum.contributions);
            }
            let mut parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|c| c as &(dyn ToSql + Sync)).collect();
            let keys: Vec<&(dyn ToSql + Sync)> = parameters[..self.keys].to_vec();
            parameters.push(&contributions);
            transaction.execute(&self.add, &parameters).await?;
            transaction.execute(&self.remove_empty, &keys).await?;
        }
        Ok(())
    }
}
