//! A roll-up's SELECT, and the two questions made of it: what should the target hold, and what does it.

use tokio_postgres::types::Type;

use super::Void;
use super::report::RollupReport;
use crate::model::TableName;
use crate::pg::{self, Session, SqlState};

/// A roll-up and the SELECT that says what its target must hold. The columns of the SELECT are those of the target.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The roll-up's name.
    pub name: String,
    /// The table it keeps.
    pub target: TableName,
    /// The columns that name a group.
    pub keys: Vec<String>,
    /// The SELECT, as it stands in its file.
    pub select: String,
}

/// A definition as two statements that give the same columns as text.
pub(super) struct Prepared {
    pub name: String,
    pub columns: Vec<String>,
    pub keys: Vec<usize>,
    pub select_definition: String,
    pub select_target: String,
}

/// The definitions that can be run now, and a report of each that cannot: it reads a table or a column that is gone.
pub(super) async fn prepare(
    session: &Session,
    definitions: &[Definition],
) -> Result<(Vec<Prepared>, Vec<RollupReport>), Void> {
    let (mut prepared, mut void) = (Vec::new(), Vec::new());
    for definition in definitions {
        match one(session, definition).await {
            Ok(one) => prepared.push(one),
            Err(error) if error.is(&SqlState::UNDEFINED_TABLE) || error.is(&SqlState::UNDEFINED_COLUMN) => {
                void.push(RollupReport::not_compared(
                    &definition.name,
                    format!("the definition cannot be run: {error}"),
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((prepared, void))
}

async fn one(session: &Session, definition: &Definition) -> Result<Prepared, pg::Error> {
    let select = definition.select.trim().trim_end_matches(';');
    // A line break ends a comment on the last line.
    let inner = format!("({select}\n) AS definition");
    let statement = session.prepare(&format!("SELECT * FROM {inner}")).await?;
    let text = |c: &tokio_postgres::Column| {
        let name = pg::identifier(c.name());
        if *c.type_() == Type::NUMERIC { format!("trim_scale({name})::text") } else { format!("{name}::text") }
    };
    let list = statement.columns().iter().map(text).collect::<Vec<_>>().join(", ");
    let columns: Vec<String> = statement.columns().iter().map(|c| c.name().to_owned()).collect();
    Ok(Prepared {
        name: definition.name.clone(),
        keys: definition.keys.iter().filter_map(|key| columns.iter().position(|c| c == key)).collect(),
        columns,
        select_definition: format!("SELECT {list} FROM {inner}"),
        select_target: format!("SELECT {list} FROM {}", pg::table(&definition.target)),
    })
}
