//! Which columns are a record's key.

use super::DEFAULT;
use super::envelopes::{STAMP, connector, insert};
use crate::model::{Column, Identity, Relation, TableName};
use crate::pgoutput::{Lineage, Message, TableFacts, decode};
use crate::sinks::kafka::json::{Records, Table, Types};

#[test]
fn the_key_is_the_one_that_deletes_tell() {
    let check = |identity, columns: &[(&str, bool)], primary: &[&str], want: &str| {
        let columns = columns
            .iter()
            .map(|(name, in_identity)| Column {
                name: (*name).into(),
                in_identity: *in_identity,
                type_oid: 23,
                type_modifier: -1,
            })
            .collect();
        let relation = Relation { id: 1, table: TableName::new("s", "t"), identity, columns };
        let primary_key = primary.iter().map(ToString::to_string).collect();
        let facts = TableFacts { relation, primary_key, indexes: Vec::new(), lineage: Lineage::default() };
        let table = Table::new(&connector(), &facts.relation, Some(&facts), &DEFAULT, &Types::default());
        let message = insert(["1", "2", "3"]);
        let Message::Insert { new, .. } = decode(&message).unwrap() else { panic!("not an insert") };
        let mut records = Records::default();
        table.insert(new, &STAMP, &mut records).unwrap();
        let key = records.iter().next().unwrap().key.map_or("", |key| std::str::from_utf8(key).unwrap());
        assert_eq!(key, want, "{identity:?} {primary:?}");
    };
    let of = |b, c| [("a", false), ("b", b), ("c", c)];
    check(Identity::Default, &of(true, true), &["c", "b"], r#"{"c":3,"b":2}"#);
    check(Identity::Index, &of(true, false), &["a"], r#"{"b":2}"#);
    check(Identity::Full, &[("a", true), ("b", true), ("c", true)], &["b"], r#"{"b":2}"#);
    check(Identity::Full, &[("a", true), ("b", true), ("c", true)], &["gone"], "");
    check(Identity::Nothing, &of(false, false), &["b"], r#"{"b":2}"#);
    check(Identity::Default, &of(false, false), &[], "");
}
