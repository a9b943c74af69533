//! Table names, patterns of them, and relations as `pgoutput` describes them.

use std::fmt;
use std::sync::Arc;

/// A table by schema and name, exactly as in the catalog: no quoting, no case folding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema.
    pub schema: Arc<str>,
    /// The table within it; may contain dots.
    pub name: Arc<str>,
}

impl TableName {
    /// The table `name` in `schema`.
    #[must_use]
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Splits `schema.name` at the *first* dot; `None` without one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, name) = text.split_once('.')?;
        (!schema.is_empty() && !name.is_empty()).then(|| Self::new(schema, name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl serde::Serialize for TableName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A pattern of `--tables`: `schema.name`, where `*` in either part stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    schema: String,
    name: String,
}

impl Pattern {
    /// One pattern; `None` without a dot.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, name) = text.split_once('.')?;
        (!schema.is_empty() && !name.is_empty()).then(|| Self { schema: schema.into(), name: name.into() })
    }

    /// A comma-separated list; `\,` is a literal comma. `Err` holds the entry that is not a pattern.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut entries = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&',') => entries.last_mut().expect("never empty").extend(chars.next()),
                ',' => entries.push(String::new()),
                _ => entries.last_mut().expect("never empty").push(c),
            }
        }
        entries.into_iter().map(|e| Self::parse(&e).ok_or(e)).collect()
    }

    /// Whether the pattern has no `*`: it names one table, which must exist.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.schema.contains('*') && !self.name.contains('*')
    }

    /// Whether the table is meant.
    #[must_use]
    pub fn matches(&self, table: &TableName) -> bool {
        glob(self.schema.as_bytes(), table.schema.as_bytes()) && glob(self.name.as_bytes(), table.name.as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// `*` matches any run of bytes, everything else itself.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star, mut retry) = (0, 0, None, 0);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some(p);
            retry = t;
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some(s) = star {
            retry += 1;
            p = s + 1;
            t = retry;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// What Postgres sends of an old row (`REPLICA IDENTITY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The primary key.
    Default,
    /// Nothing: updates and deletes of such a table are refused by Postgres once they are published.
    Nothing,
    /// The whole old row.
    Full,
    /// A unique index.
    Index,
}

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is part of the replica identity that is sent (under FULL every column is).
    pub in_identity: bool,
    /// Its type.
    pub type_oid: u32,
    /// Its type modifier; -1 for none.
    pub type_modifier: i32,
}

/// A table as a Relation message describes it: enough to understand its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The OID that change messages name.
    pub id: u32,
    /// Its name.
    pub table: TableName,
    /// What is sent of old rows.
    pub identity: Identity,
    /// The published columns, in the order of tuples.
    pub columns: Vec<Column>,
}

impl Relation {
    /// Index of the column `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| &*c.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_split_at_the_first_dot_and_take_stars() {
        let check = |patterns: &str, table: (&str, &str), want: bool| {
            let table = TableName::new(table.0, table.1);
            let got = Pattern::parse_list(patterns).unwrap().iter().any(|p| p.matches(&table));
            assert_eq!(got, want, "{patterns} on {table}");
        };
        check("shop.*,public.orders", ("public", "orders"), true);
        check("shop.*,public.orders", ("public", "Orders"), false);
        check("shop.*", ("shop", "a.b c\"d"), true);
        check("*.*_log", ("worker", "audit_log"), true);
        check("*.*_log", ("worker", "audit_logs"), false);
        check("a.b.c", ("a", "b.c"), true);
        check(r"a.x\,y", ("a", "x,y"), true);
        check("s.*a*b", ("s", "xaab"), true);
        assert_eq!(Pattern::parse_list("shop.*,orders"), Err("orders".to_owned()));
    }
}
