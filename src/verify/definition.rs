//! A roll-up's SELECT, and the two questions made of it: what should the target hold, and what does it.

use tokio_postgres::types::Type;

use super::Void;
use crate::model::TableName;
use crate::pg::{self, Session};

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

pub(super) async fn prepare(session: &Session, definitions: &[Definition]) -> Result<Vec<Prepared>, Void> {
    let mut prepared = Vec::new();
    for definition in definitions {
        prepared.push(one(session, definition).await?);
    }
    Ok(prepared)
}

async fn one(session: &Session, definition: &Definition) -> Result<Prepared, Void> {
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
