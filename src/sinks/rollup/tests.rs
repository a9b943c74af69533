//! Contributions before and after, summed in any batches, equal the recompute: random histories of aether, in which
//! bundles come before their arbs, several builders report, truth arrives late, and some values cannot be used.

use std::sync::Arc;

use proptest::prelude::*;

use super::by_hand::{self, Aether};
use super::*;
use crate::model::{Column, Identity, Lsn, Relation, TableName};
use crate::pgoutput::OldKind;
use crate::pgoutput::{
    Cell, Lineage, TableFacts, decode, encode_delete, encode_insert, encode_truncate, encode_update,
};
use crate::sinks::standby::{Extras, IndexSpec, Observer, Store};
use crate::tape::{Head, Kind};

/// Bundles, results, arbs: columns that the roll-up reads, primary key first.
const TABLES: [(&str, &[&str], usize); 3] = [
    ("bundles", &["bundle_id", "arb_id", "submitted_at", "gas_used", "gas_price_wei"], 1),
    ("inclusion_results", &["bundle_id", "builder", "included", "resolved_at"], 2),
    ("arbs", &["arb_id", "net_profit_wei"], 1),
];

fn facts(number: usize) -> TableFacts {
    let (name, columns, key) = TABLES[number];
    let column = |name: &&str| Column { name: (*name).into(), in_identity: true, type_oid: 25, type_modifier: -1 };
    let relation = Relation {
        id: u32::try_from(number).unwrap(),
        table: TableName::new("aether", name),
        identity: Identity::Full,
        columns: columns.iter().map(column).collect(),
    };
    let primary_key = columns[..key].iter().map(ToString::to_string).collect();
    TableFacts { relation, primary_key, indexes: vec![], lineage: Lineage::default() }
}

fn head(kind: Kind, lsn: u64) -> Head {
    Head {
        kind,
        xid: 1,
        begin_lsn: Lsn(lsn),
        commit_lsn: Lsn(lsn),
        end_lsn: Lsn(lsn),
        commit_time_us: 0,
        epoch: 1,
        messages: 0,
        bytes: 0,
        tables: vec!["aether.bundles".into()],
    }
}

/// The store, the roll-up, and its target as the deltas make it.
struct Kept {
    store: Store,
    maintainer: Maintainer,
    target: Deltas,
    rows: [std::collections::BTreeMap<Vec<String>, Vec<String>>; 3],
    lsn: u64,
}

impl Kept {
    fn new() -> Self {
        let rollup: Arc<dyn RollUp> = Arc::new(Aether::new());
        let index =
            |source: &Source| Some(IndexSpec { table: source.table.clone(), columns: vec![source.index?.to_owned()] });
        let extras = Extras { indexes: rollup.sources().iter().filter_map(index).collect(), books: vec![] };
        let mut kept = Self {
            store: Store::new(Arc::new(extras)),
            maintainer: Maintainer::new(rollup, None),
            target: Deltas::default(),
            rows: Default::default(),
            lsn: 10,
        };
        let messages: Vec<Vec<u8>> = (0..3).map(|n| message(|out| facts(n).encode(out))).collect();
        kept.unit(Kind::Copy, &messages);
        kept.flush();
        kept
    }

    fn unit(&mut self, kind: Kind, messages: &[Vec<u8>]) {
        self.lsn += 10;
        let head = head(kind, self.lsn);
        self.maintainer.begin(head.end_lsn, &self.store);
        let unit = self.store.begin(&head, &mut self.maintainer);
        for raw in messages {
            self.store.apply(&decode(raw).unwrap(), unit, &mut self.maintainer).unwrap();
        }
        self.store.commit(&head, unit, &mut self.maintainer);
    }

    fn flush(&mut self) {
        self.maintainer.settle(&self.store);
        let effect = self.maintainer.take();
        if effect.replace {
            self.target = Deltas::default();
        }
        self.target.merge(&effect.deltas, true);
    }

    /// The message that makes the row so; `None` deletes it.
    fn set(&mut self, table: usize, row: &[&str], present: bool) -> Option<Vec<u8>> {
        let key: Vec<String> = row[..TABLES[table].2].iter().map(ToString::to_string).collect();
        let new: Vec<String> = row.iter().map(ToString::to_string).collect();
        let old = if present { self.rows[table].insert(key, new.clone()) } else { self.rows[table].remove(&key) };
        let cells = |row: &[String]| {
            let owned: Vec<Option<Vec<u8>>> = row.iter().map(|c| (c != "-").then(|| c.as_bytes().to_vec())).collect();
            owned
        };
        let id = u32::try_from(table).unwrap();
        let (new, before) = (cells(&new), old.as_deref().map(cells));
        fn cell(c: &Option<Vec<u8>>) -> Cell<'_> {
            c.as_deref().map_or(Cell::Null, Cell::Text)
        }
        match (before, present) {
            (None, true) => Some(message(|out| encode_insert(id, new.iter().map(cell), out))),
            (Some(old), true) => Some(message(|out| {
                encode_update(id, Some((OldKind::Full, old.iter().map(cell))), new.iter().map(cell), out);
            })),
            (Some(old), false) => Some(message(|out| encode_delete(id, OldKind::Full, old.iter().map(cell), out))),
            (None, false) => None,
        }
    }
}

fn message(make: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    make(&mut out);
    out
}

#[derive(Debug, Clone)]
enum Step {
    Bundle { id: u8, arb: u8, day: u8, gas: u8, present: bool },
    Result { bundle: u8, builder: u8, included: bool, day: u8, present: bool },
    Arb { id: u8, profit: i32, present: bool },
    Truncate(u8),
    Refresh,
    Commit,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let present = || prop::bool::weighted(0.8);
    prop_oneof![
        6 => (0u8..6, 0u8..4, 1u8..5, 0u8..5, present())
            .prop_map(|(id, arb, day, gas, present)| Step::Bundle { id, arb, day, gas, present }),
        6 => (0u8..6, 0u8..3, any::<bool>(), 0u8..5, present())
            .prop_map(|(bundle, builder, included, day, present)| Step::Result { bundle, builder, included, day, present }),
        4 => (0u8..4, -50i32..50, present()).prop_map(|(id, profit, present)| Step::Arb { id, profit, present }),
        1 => (0u8..3).prop_map(Step::Truncate),
        1 => Just(Step::Refresh),
        6 => Just(Step::Commit),
        3 => Just(Step::Flush),
    ]
}

/// Day 0 is not usable.
fn at(day: u8) -> String {
    if day == 0 { "infinity".into() } else { format!("2026-11-0{day} 12:00:00.5+00") }
}

fn run(steps: &[Step]) {
    let mut kept = Kept::new();
    let mut open = Vec::new();
    for step in steps {
        match step {
            Step::Bundle { id, arb, day, gas, present } => {
                let price = match gas {
                    0 => "-".to_owned(),
                    1 => "NaN".to_owned(),
                    gas => format!("{gas}000000000000000000000000000"),
                };
                let row = [&format!("b{id}"), &format!("a{arb}"), &at(*day), "21000", &price];
                open.extend(kept.set(0, &row.map(|c: &str| c), *present));
            }
            Step::Result { bundle, builder, included, day, present } => {
                let included = if *included { "t" } else { "f" };
                let row = [&format!("b{bundle}"), &format!("builder{builder}"), included, &at(*day)];
                open.extend(kept.set(1, &row.map(|c: &str| c), *present));
            }
            Step::Arb { id, profit, present } => {
                let profit = if *profit == 0 { "NaN".to_owned() } else { profit.to_string() };
                open.extend(kept.set(2, &[&format!("a{id}"), &profit], *present));
            }
            Step::Truncate(table) => {
                kept.rows[usize::from(*table)].clear();
                open.push(message(|out| encode_truncate(&[u32::from(*table)], out)));
            }
            Step::Refresh => {
                kept.unit(Kind::Stream, &std::mem::take(&mut open));
                let rows: Vec<Vec<u8>> = kept.rows[0].values().map(|row| copied(row)).collect();
                kept.unit(Kind::Refresh, &rows);
            }
            Step::Commit => kept.unit(Kind::Stream, &std::mem::take(&mut open)),
            Step::Flush => {
                kept.unit(Kind::Stream, &std::mem::take(&mut open));
                kept.flush();
                assert_eq!(kept.target, Maintainer::content(&Aether::new(), &kept.store));
            }
        }
    }
    kept.unit(Kind::Stream, &open);
    kept.flush();
    assert_eq!(kept.target, Maintainer::content(&Aether::new(), &kept.store));
    let everything = [(0, "aether.bundles"), (1, "aether.inclusion_results"), (2, "aether.arbs")];
    for (number, name) in everything {
        let table = kept.store.table(&TableName::parse(name).unwrap()).unwrap();
        assert_eq!(table.len(), kept.rows[number].len() as u64);
    }
}

fn copied(row: &[String]) -> Vec<u8> {
    let cells: Vec<Cell<'_>> =
        row.iter().map(|c| if c == "-" { Cell::Null } else { Cell::Text(c.as_bytes()) }).collect();
    message(|out| encode_insert(0, cells.into_iter(), out))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn deltas_equal_the_recompute_for_any_history(steps in prop::collection::vec(step(), 0..120)) {
        run(&steps);
    }
}

/// The target's one row of 2026-11-0`day`: profit, gas, bundles, inclusions, contributions.
fn day(kept: &Kept, day: u8) -> String {
    let key = GroupKey::new(&[&format!("2026-11-0{day}")]);
    let Some((_, sum)) = kept.target.iter().find(|(group, _)| **group == key) else { return "none".into() };
    let measures: Vec<String> = sum.measures.iter().map(ToString::to_string).collect();
    format!("{} {}", measures.join(" "), sum.contributions)
}

#[test]
fn a_bundle_counts_once_in_whatever_order_its_parts_arrive() {
    let mut kept = Kept::new();
    let change = |kept: &mut Kept, table, row: &[&str]| {
        let message = kept.set(table, row, true);
        kept.unit(Kind::Stream, &message.into_iter().collect::<Vec<_>>());
        kept.flush();
    };
    change(&mut kept, 1, &["b", "x", "t", &at(2)]);
    assert_eq!((day(&kept, 1), day(&kept, 2)), ("none".into(), "none".into()));
    change(&mut kept, 0, &["b", "a", &at(1), "2", "5"]);
    assert_eq!((day(&kept, 1), day(&kept, 2)), ("0 10 1 0 1".into(), "0 0 0 1 1".into()));
    change(&mut kept, 2, &["a", "77"]);
    assert_eq!(day(&kept, 2), "77 0 0 1 1");
    // A second builder reports an earlier landing: the inclusion moves, and is still one.
    change(&mut kept, 1, &["b", "y", "t", &at(1)]);
    assert_eq!((day(&kept, 1), day(&kept, 2)), ("77 10 1 1 2".into(), "none".into()));
    // A correction, and then an arb that cannot be used: the inclusion stays, its profit is left out and noted.
    change(&mut kept, 2, &["a", "-3"]);
    assert_eq!(day(&kept, 1), "-3 10 1 1 2");
    kept.maintainer.settle(&kept.store);
    let message = kept.set(2, &["a", "NaN"], true).unwrap();
    kept.unit(Kind::Stream, &[message]);
    kept.maintainer.settle(&kept.store);
    let effect = kept.maintainer.take();
    assert_eq!(effect.notes.len(), 1);
    assert_eq!(effect.notes[0].why.as_deref(), Some("net_profit_wei is NaN"));
    kept.target.merge(&effect.deltas, true);
    assert_eq!(day(&kept, 1), "0 10 1 1 2");
}

#[test]
fn transactions_that_the_target_holds_add_nothing() {
    let mut kept = Kept::new();
    kept.maintainer = Maintainer::new(Arc::new(Aether::new()), Some(Lsn(40)));
    let row = |id: &'static str| [id, "a", "2026-11-01 00:00:00+00", "1", "1"];
    let (one, two) = (kept.set(0, &row("b1"), true).unwrap(), kept.set(0, &row("b2"), true).unwrap());
    kept.lsn = 30;
    kept.unit(Kind::Stream, &[one]); // Ends at 40.
    kept.unit(Kind::Stream, &[two]);
    kept.flush();
    assert_eq!(day(&kept, 1), "0 1 1 0 1");
}

#[test]
fn a_sum_that_the_target_cannot_hold_keeps_its_group_out_until_it_fits() {
    let mut kept = Kept::new();
    let most = "9".repeat(78);
    let change = |kept: &mut Kept, table, row: &[&str], present| {
        let message = kept.set(table, row, present).unwrap();
        kept.unit(Kind::Stream, &[message]);
        kept.maintainer.settle(&kept.store);
        let effect = kept.maintainer.take();
        kept.target.merge(&effect.deltas, true);
        assert_eq!(kept.target, Maintainer::content(&Aether::new(), &kept.store));
        effect.notes
    };
    change(&mut kept, 2, &["a", &most], true);
    change(&mut kept, 0, &["b", "a", &at(1), "1", "1"], true);
    change(&mut kept, 1, &["b", "x", "t", &at(1)], true);
    assert_eq!(day(&kept, 1), format!("{most} 1 1 1 2"));
    change(&mut kept, 0, &["c", "a", &at(2), "1", "1"], true);
    let notes = change(&mut kept, 1, &["c", "x", "t", &at(1)], true);
    assert_eq!(day(&kept, 1), "none");
    assert_eq!((notes.len(), notes[0].key[0].as_deref()), (1, Some("2026-11-01")));
    assert_eq!(notes[0].why.as_deref(), Some("a sum of this group has more than 78 digits"));
    change(&mut kept, 0, &["d", "-", &at(1), "1", "1"], true);
    let notes = change(&mut kept, 1, &["c", "x", "t", &at(1)], false);
    assert_eq!((notes.len(), notes[0].why.as_deref()), (1, None));
    assert_eq!(day(&kept, 1), format!("{most} 2 2 1 3"));
}

#[test]
fn every_roll_up_has_its_definition() {
    for name in by_hand::NAMES {
        let rollup = by_hand::rollup(name).unwrap();
        assert_eq!(rollup.name(), name);
        assert_eq!(rollup.target().table.to_string(), name);
        let definition = by_hand::definition(name).unwrap();
        let columns = rollup.target().keys.iter().chain(&rollup.target().measures);
        for (column, _) in columns {
            assert!(definition.contains(column), "{name}: {column}");
        }
    }
    let mut store = Store::new(Arc::default());
    assert!(!Maintainer::new(by_hand::rollup(by_hand::NAMES[0]).unwrap(), None).watches(&store, 0));
    assert_eq!(store.take_notes(), []);
}
