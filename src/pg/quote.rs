//! Quoting, for the statements that take no parameters.

use crate::model::TableName;

/// A quoted identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted `schema.name`.
#[must_use]
pub fn table(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// A quoted string literal, right under every `standard_conforming_strings`.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The statement that reads all rows of a table. ONLY for ordinary tables: children by inheritance are tables of their own.
/// A partitioned table is read through itself.
#[must_use]
pub fn copy_rows<'a>(
    name: &TableName,
    columns: impl Iterator<Item = &'a str>,
    partitioned: bool,
    filter: Option<&str>,
) -> String {
    let columns: Vec<String> = columns.map(identifier).collect();
    let only = if partitioned { "" } else { "ONLY " };
    let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    format!("COPY (SELECT {} FROM {only}{}{filter}) TO STDOUT", columns.join(", "), table(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_and_texts_are_quoted() {
        assert_eq!(table(&TableName::new("a b", "c\"d.e")), r#""a b"."c""d.e""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
    }

    #[test]
    fn a_copy_reads_what_is_published_and_no_child() {
        let check = |partitioned, filter, want: &str| {
            let columns = ["x", "Y\""].into_iter();
            assert_eq!(copy_rows(&TableName::new("s", "a b"), columns, partitioned, filter), want);
        };
        check(false, Some("(x > 1)"), r#"COPY (SELECT "x", "Y""" FROM ONLY "s"."a b" WHERE (x > 1)) TO STDOUT"#);
        check(true, None, r#"COPY (SELECT "x", "Y""" FROM "s"."a b") TO STDOUT"#);
    }
}
