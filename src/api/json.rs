//! Rows as JSON objects: columns in the relation's order, values exactly as `::text` prints them, or null.

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use crate::model::Relation;
use crate::pgoutput::cast;
use crate::sinks::standby::Row;

/// `{"col":"text"|null}`.
pub(super) struct RowJson<'a> {
    pub relation: &'a Relation,
    pub row: Row<'a>,
}

impl Serialize for RowJson<'_> {
    /// Fails on text that is not UTF-8 (a database in SQL_ASCII): JSON could only carry it changed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cells = self.row.cells();
        let mut map = serializer.serialize_map(Some(cells.len()))?;
        for (column, cell) in self.relation.columns.iter().zip(cells) {
            let text = cell.map(|sent| cast::to_text(column.type_oid, sent));
            let text = text.as_deref().map(std::str::from_utf8).transpose();
            map.serialize_entry(&*column.name, &text.map_err(|_| S::Error::custom("a value is not UTF-8"))?)?;
        }
        map.end()
    }
}
