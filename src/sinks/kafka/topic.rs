//! Names of topics, as Debezium's default strategy makes them.
//!
//! Kafka allows `[A-Za-z0-9._-]` in a name; anything else becomes `_`. So two tables can want one topic (`a b` and `a_b`,
//! or schema `a` with table `b.c` and schema `a.b` with table `c`): [`collisions`] finds them before a record is written.

use std::collections::BTreeMap;

use crate::model::TableName;

/// How the names of tables' topics are made: text with `{prefix}`, `{schema}` and `{table}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// Debezium's.
impl Default for Template {
    fn default() -> Self {
        Self("{prefix}.{schema}.{table}".into())
    }
}

impl Template {
    /// `None`: it holds braces around something else, or nothing at all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest =
            ["{prefix}", "{schema}", "{table}"].iter().fold(text.to_owned(), |rest, name| rest.replace(name, ""));
        (!text.is_empty() && !rest.contains(['{', '}'])).then(|| Self(text.into()))
    }

    /// Whether each table is meant to have a topic of its own.
    #[must_use]
    pub fn names_table(&self) -> bool {
        self.0.contains("{table}")
    }

    /// The topic of a table.
    #[must_use]
    pub fn name(&self, prefix: &str, table: &TableName) -> String {
        let mut name = String::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('{') {
            let end = at + rest[at..].find('}').map_or(rest.len() - at, |end| end + 1);
            name += &rest[..at];
            name += match &rest[at..end] {
                "{prefix}" => prefix,
                "{schema}" => &table.schema,
                "{table}" => &table.name,
                other => other,
            };
            rest = &rest[end..];
        }
        allowed(&(name + rest))
    }
}

/// The topic of logical messages: `<prefix>.message`.
#[must_use]
pub fn of_messages(prefix: &str) -> String {
    allowed(&format!("{prefix}.message"))
}

/// The topic of transactions' begins and ends: `<prefix>.transaction`.
#[must_use]
pub fn of_transactions(prefix: &str) -> String {
    allowed(&format!("{prefix}.transaction"))
}

/// The topic of heartbeats: `__debezium-heartbeat.<prefix>`.
#[must_use]
pub fn of_heartbeats(prefix: &str) -> String {
    allowed(&format!("__debezium-heartbeat.{prefix}"))
}

/// Tables that share a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The topic.
    pub topic: String,
    /// Two tables or more, sorted.
    pub tables: Vec<TableName>,
}

/// The topics that several of `tables` would share, sorted by name. Kafka's metrics take `.` and `_` for the same
/// character, its topics do not: names that differ in that alone do not collide here.
#[must_use]
pub fn collisions<'a>(
    topic_of: impl Fn(&TableName) -> String,
    tables: impl IntoIterator<Item = &'a TableName>,
) -> Vec<Collision> {
    let mut by_topic: BTreeMap<String, Vec<TableName>> = BTreeMap::new();
    for table in tables {
        by_topic.entry(topic_of(table)).or_default().push(table.clone());
    }
    let sorted = |(topic, mut tables): (String, Vec<TableName>)| {
        tables.sort();
        tables.dedup();
        (tables.len() > 1).then_some(Collision { topic, tables })
    };
    by_topic.into_iter().filter_map(sorted).collect()
}

/// The topic of records that could not be produced: `<prefix>.quarantine`.
#[must_use]
pub fn of_quarantine(prefix: &str) -> String {
    allowed(&format!("{prefix}.quarantine"))
}

/// One `_` for each of Java's characters that Kafka does not allow: two for one outside the basic plane.
pub fn allowed(name: &str) -> String {
    let replaced = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => std::iter::repeat_n(c, 1),
        c => std::iter::repeat_n('_', c.len_utf16()),
    };
    name.chars().flat_map(replaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_debezium() {
        let check = |prefix: &str, schema: &str, table: &str, want: &str| {
            assert_eq!(Template::default().name(prefix, &TableName::new(schema, table)), want);
        };
        check("shop", "public", "orders", "shop.public.orders");
        check("shop", "public", "Order Items", "shop.public.Order_Items");
        check("shop", "public", "a.b-c_d", "shop.public.a.b-c_d");
        check("shop", "größe", "😀\"x\"", "shop.gr__e.___x_");
        assert_eq!(of_messages("shop"), "shop.message");
        assert_eq!(of_transactions("shop"), "shop.transaction");
        assert_eq!(of_heartbeats("shop"), "__debezium-heartbeat.shop");
    }

    #[test]
    fn templates_take_three_names() {
        let check = |template: &str, want: Option<&str>| {
            let got = Template::parse(template).map(|template| template.name("p{x}", &TableName::new("{table}", "t")));
            assert_eq!(got.as_deref(), want, "{template}");
        };
        check("{prefix}.{schema}.{table}", Some("p_x_._table_.t"));
        check("cdc-{table}", Some("cdc-t"));
        check("all", Some("all"));
        check("", None);
        check("{prefix}.{column}", None);
        check("{prefix", None);
    }

    #[test]
    fn tables_that_share_a_topic_are_found() {
        let check = |tables: &[(&str, &str)], want: &[(&str, &[&str])]| {
            let tables: Vec<TableName> = tables.iter().map(|(schema, name)| TableName::new(schema, name)).collect();
            let got = collisions(|table| Template::default().name("p", table), &tables);
            let got: Vec<(String, Vec<String>)> =
                got.into_iter().map(|c| (c.topic, c.tables.iter().map(ToString::to_string).collect())).collect();
            let text = |(topic, tables): &(&str, &[&str])| {
                ((*topic).to_owned(), tables.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
            };
            assert_eq!(got, want.iter().map(text).collect::<Vec<_>>());
        };
        check(&[("s", "a b"), ("s", "a_b"), ("s", "ab")], &[("p.s.a_b", &["s.a b", "s.a_b"])]);
        check(&[("a", "b.c"), ("a.b", "c")], &[("p.a.b.c", &["a.b.c", "a.b.c"])]);
        check(&[("s", "a"), ("s", "a"), ("s", "a.b"), ("s", "a_b")], &[]);
    }
}
