//! The tables a reader of the stream knows, by OID, and how a newly announced shape differs from the known one.

use std::collections::HashMap;
use std::sync::Arc;

use super::RelationDescription;
use crate::model::{Column, Identity, Relation};

/// How an announced relation differs from the one known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationChange {
    /// Not known before.
    New,
    /// The same.
    Same,
    /// Only columns left out: rows already held stay right without those columns.
    ColumnsDropped,
    /// Anything else (column added, renamed, retyped, moved, another key or name): rows already held may differ from
    /// the table's in ways the stream does not tell.
    Other,
}

/// Relations by OID, owned, shared by `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    by_id: HashMap<u32, Arc<Relation>>,
}

impl Relations {
    /// Takes in an announced relation and says how it differs from the known one.
    pub fn learn(&mut self, announced: &RelationDescription<'_>) -> RelationChange {
        let announced = announced.to_relation();
        let change = self.by_id.get(&announced.id).map_or(RelationChange::New, |known| compare(known, &announced));
        if change != RelationChange::Same {
            self.by_id.insert(announced.id, Arc::new(announced));
        }
        change
    }

    /// The relation a change message names.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Arc<Relation>> {
        self.by_id.get(&id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.by_id.values()
    }
}

/// How `announced` differs from `known`.
#[must_use]
pub fn compare(known: &Relation, announced: &Relation) -> RelationChange {
    if known == announced {
        return RelationChange::Same;
    }
    let head = |r: &Relation| (r.id, r.table.clone(), r.identity);
    let mut left = announced.columns.iter().peekable();
    for column in &known.columns {
        left.next_if(|next| *next == column);
    }
    let kept = |column: &&Column| announced.columns.contains(column);
    let key_kept = known.identity == Identity::Full || known.columns.iter().filter(|c| c.in_identity).all(|c| kept(&c));
    if head(known) == head(announced) && left.next().is_none() && key_kept {
        RelationChange::ColumnsDropped
    } else {
        RelationChange::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableName;

    /// `a! b` is a table of columns a (in the identity) and b; `a:20` has another type.
    fn relation(columns: &str) -> Relation {
        let column = |text: &str| {
            let (text, type_oid) = text.split_once(':').map_or((text, 25), |(t, oid)| (t, oid.parse().unwrap()));
            let name = text.trim_end_matches('!');
            Column { name: name.into(), in_identity: name != text, type_oid, type_modifier: -1 }
        };
        let columns = columns.split_whitespace().map(column).collect();
        Relation { id: 1, table: TableName::new("s", "t"), identity: Identity::Default, columns }
    }

    #[test]
    fn only_dropped_columns_leave_the_rows_right() {
        let check = |known: &str, announced: &str, want| {
            assert_eq!(compare(&relation(known), &relation(announced)), want, "{known} -> {announced}");
        };
        check("a! b c", "a! b c", RelationChange::Same);
        check("a! b c", "a! c", RelationChange::ColumnsDropped);
        check("a! b c", "a!", RelationChange::ColumnsDropped);
        check("a! b", "a! b c", RelationChange::Other);
        check("a! b c", "a! c b", RelationChange::Other);
        check("a! b", "a! x", RelationChange::Other);
        check("a! b", "a! b:20", RelationChange::Other);
        check("a! b!", "a!", RelationChange::Other);
        check("a! b", "b! a", RelationChange::Other);
    }
}
