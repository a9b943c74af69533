//! The rows of a table in Postgres, streamed: as text, in the column order of the standby.

use futures_util::StreamExt;

use super::Void;
use super::snapshot::Snapshot;
use crate::pg;
use crate::pgoutput::{self, Cell, Message};
use crate::sinks::standby::Table;

/// Calls `each` with the cells of every row that the snapshot shows of `table`.
pub(super) async fn of_postgres(
    snapshot: &Snapshot,
    table: &Table,
    mut each: impl FnMut(&[Option<&[u8]>]),
) -> Result<(), Void> {
    let relation = table.relation();
    let columns = relation.columns.iter().map(|column| &*column.name);
    let partitioned = of_catalog(snapshot, table).await?.is_partitioned;
    let sql = pg::copy_rows(&relation.table, columns, partitioned, snapshot.filter(&relation.table));
    let stream = snapshot.session.copy_out(&sql).await.map_err(pg::Error::from).map_err(shape_changed)?;
    let mut stream = std::pin::pin!(stream);
    let width = u16::try_from(relation.columns.len()).expect("Postgres bounds a table at 1600 columns");
    let mut message = Vec::new();
    // Postgres sends each row in a message of its own.
    while let Some(line) = stream.next().await {
        message.clear();
        pgoutput::insert_from_copy_text(relation.id, width, &line?, &mut message)
            .map_err(|e| Void::Again(format!("{}: {e}", relation.table)))?;
        each(&cells(&message)?);
    }
    Ok(())
}

fn cells(message: &[u8]) -> Result<Vec<Option<&[u8]>>, Void> {
    let Ok(Message::Insert { new, .. }) = pgoutput::decode(message) else {
        return Err(Void::Again("a copied row cannot be decoded".into()));
    };
    let cell = |cell| match cell {
        Cell::Text(text) => Some(text),
        Cell::Null | Cell::Unchanged => None,
    };
    Ok(new.cells().map(cell).collect())
}

/// What the snapshot's catalog says of a table of the standby.
#[derive(Default)]
pub(super) struct Found {
    pub exists: bool,
    pub is_partitioned: bool,
    /// Whether it has every column that the standby holds.
    pub has_columns: bool,
}

pub(super) async fn of_catalog(snapshot: &Snapshot, table: &Table) -> Result<Found, Void> {
    let sql = "SELECT c.relkind = 'p', $3::text[] <@ ARRAY(SELECT attname::text FROM pg_attribute \
                       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";
    let name = table.name();
    let columns: Vec<&str> = table.relation().columns.iter().map(|c| &*c.name).collect();
    let row = snapshot.session.query_opt(sql, &[&&*name.schema, &&*name.name, &columns]).await?;
    Ok(row.map_or_else(Found::default, |row| Found {
        exists: true,
        is_partitioned: row.get(0),
        has_columns: row.get(1),
    }))
}

/// The table lost a column, or its name, since the snapshot: begin again.
fn shape_changed(error: pg::Error) -> Void {
    let gone = [pg::SqlState::UNDEFINED_COLUMN, pg::SqlState::UNDEFINED_TABLE];
    if error.code().is_some_and(|code| gone.contains(code)) { Void::Again(error.to_string()) } else { error.into() }
}
