//! Names that Avro allows, as Debezium makes them (`schema.name.adjustment.mode` and `field.name.adjustment.mode` = `avro`).
//!
//! One `_` for each UTF-16 unit that Avro does not know, and one before a digit at the start. Unlike Debezium, parts of a
//! namespace keep to that too: readers that follow the specification refuse `shop.public.1orders`.

use crate::model::TableName;
use crate::sinks::kafka::topic::Template;

/// How names become those of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// As Avro allows.
    Adjusted,
    /// As they are.
    AsTheyAre,
}

impl Names {
    /// The namespace of a table's records: that of its topic's default name.
    pub(super) fn namespace(self, prefix: &str, table: &TableName) -> String {
        let topic = Template::default().name(prefix, table);
        match self {
            Names::Adjusted => topic.split('.').map(name).collect::<Vec<_>>().join("."),
            Names::AsTheyAre => topic,
        }
    }

    /// The name of a column's field.
    pub(super) fn field(self, column: &str) -> String {
        match self {
            Names::Adjusted => name(column),
            Names::AsTheyAre => column.to_owned(),
        }
    }
}

/// The name of a column's field, or of a part of a namespace.
pub(super) fn name(text: &str) -> String {
    let mut adjusted = String::with_capacity(text.len() + 1);
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        adjusted.push('_');
    }
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => adjusted.push(c),
            c => (0..c.len_utf16()).for_each(|_| adjusted.push('_')),
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_debezium() {
        let check = |text: &str, want: &str| assert_eq!(name(text), want);
        check("id", "id");
        check("Mixed_Case9", "Mixed_Case9");
        check("1a", "_1a");
        check("b c", "b_c");
        check("é€😀x.y", "____x_y");
        check("a-b", "a_b");
        let table = TableName::new("public", "wei-rd.ö😀");
        assert_eq!(Names::Adjusted.namespace("shop", &table), "shop.public.wei_rd.___");
        assert_eq!(Names::Adjusted.namespace("shop", &TableName::new("2024", ".x")), "shop._2024._.x");
    }
}
