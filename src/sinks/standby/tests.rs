//! Random histories against a model map, through the bytes of `pgoutput`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Column, Identity, Lsn, Relation, TableName};
use crate::pgoutput::{
    Cell, Lineage, OldKind, TableFacts, decode, encode_delete, encode_insert, encode_relation, encode_truncate,
    encode_update,
};
use crate::sinks::checkpoints;
use crate::tape::{Head, Kind};

const ID: u32 = 7;

fn table() -> TableName {
    TableName::new("s", "t")
}

/// `id! text`: id is in the identity.
fn relation(identity: Identity, columns: &str) -> Relation {
    let column = |text: &str| {
        let name = text.trim_end_matches('!');
        Column { name: name.into(), in_identity: name != text, type_oid: 25, type_modifier: -1 }
    };
    Relation { id: ID, table: table(), identity, columns: columns.split_whitespace().map(column).collect() }
}

fn head(kind: Kind, lsn: u64) -> Head {
    Head {
        kind,
        xid: 1,
        begin_lsn: Lsn(lsn - 1),
        commit_lsn: Lsn(lsn - 1),
        end_lsn: Lsn(lsn),
        commit_time_us: 1,
        epoch: 1,
        messages: 0,
        bytes: 0,
        tables: vec![table().to_string()],
    }
}

type Cells<'a> = Vec<Cell<'a>>;

/// `a,-,~`: a text, NULL, unchanged.
fn cells(text: &str) -> Cells<'_> {
    let cell = |text| match text {
        "-" => Cell::Null,
        "~" => Cell::Unchanged,
        text => Cell::Text(str::as_bytes(text)),
    };
    text.split(',').map(cell).collect()
}

fn message(make: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    make(&mut out);
    out
}

fn insert(row: &str) -> Vec<u8> {
    message(|out| encode_insert(ID, cells(row).into_iter(), out))
}

fn update(old: Option<(OldKind, &str)>, row: &str) -> Vec<u8> {
    let old = old.map(|(kind, row)| (kind, cells(row).into_iter()));
    message(|out| encode_update(ID, old, cells(row).into_iter(), out))
}

fn delete(kind: OldKind, row: &str) -> Vec<u8> {
    message(|out| encode_delete(ID, kind, cells(row).into_iter(), out))
}

fn describe(relation: &Relation) -> Vec<u8> {
    message(|out| encode_relation(relation, out))
}

fn apply(store: &mut Store, kind: Kind, lsn: u64, messages: &[Vec<u8>]) {
    let head = head(kind, lsn);
    let unit = store.begin(&head, &mut Unobserved);
    for raw in messages {
        store.apply(&decode(raw).unwrap(), unit, &mut Unobserved).unwrap();
    }
    store.commit(&head, unit, &mut Unobserved);
}

/// The rows as text, sorted, with their number.
fn rows(view: &View) -> String {
    let table = view.table(&table()).unwrap();
    let text = |row: Row<'_>| {
        let cells = row.cells().into_iter().map(|c| c.map_or("-".into(), |c| String::from_utf8_lossy(c).into_owned()));
        format!("{}x{}", cells.collect::<Vec<_>>().join(","), row.copies())
    };
    let mut rows: Vec<String> = table.rows().map(text).collect();
    rows.sort();
    assert_eq!(table.rows().map(|r| r.copies()).sum::<u64>(), table.len());
    rows.join(" ").replace("x1", "")
}

/// A table of this shape and what is left of it after these messages.
fn check(shape: &Relation, messages: &[Vec<u8>], want: &str, misfits: u64) {
    let mut store = Store::new(Arc::default());
    apply(&mut store, Kind::Copy, 10, &[describe(shape)]);
    apply(&mut store, Kind::Stream, 20, messages);
    let view = store.view();
    assert_eq!(rows(&view), want);
    assert_eq!(view.table(&table()).unwrap().counters().misfits, misfits);
}

#[test]
fn keyed_rows_follow_their_key() {
    let t = relation(Identity::Default, "a id! b");
    check(&t, &[insert("1,k,2"), update(None, "3,k,~")], "3,k,2", 0);
    check(&t, &[insert("1,k,2"), update(Some((OldKind::Key, "-,k,-")), "1,l,~")], "1,l,2", 0);
    check(&t, &[insert("1,k,2"), insert("1,l,2"), delete(OldKind::Key, "-,k,-")], "1,l,2", 0);
    let truncate = message(|out| encode_truncate(&[ID], out));
    check(&t, &[insert("1,k,2"), truncate, insert("1,m,2")], "1,m,2", 0);
}

#[test]
fn changes_that_do_not_fit_are_counted_and_the_new_image_wins() {
    let t = relation(Identity::Default, "id! b");
    check(&t, &[insert("k,1"), insert("k,2")], "k,2", 1);
    check(&t, &[update(None, "k,1")], "k,1", 1);
    check(&t, &[update(None, "k,~")], "", 1);
    check(&t, &[delete(OldKind::Key, "k,-")], "", 1);
    check(&t, &[insert("k,1"), insert("l,2"), update(Some((OldKind::Key, "k,-")), "l,3")], "l,3", 1);
    let full = relation(Identity::Full, "id! b!");
    check(&full, &[update(Some((OldKind::Full, "k,1")), "l,~")], "l,1", 1);
}

#[test]
fn rows_without_a_key_are_counted() {
    let t = relation(Identity::Full, "a! b!");
    let old = |row| Some((OldKind::Full, row));
    check(&t, &[insert("1,-"), insert("1,-"), insert("1,2")], "1,-x2 1,2", 0);
    check(&t, &[insert("1,-"), insert("1,-"), delete(OldKind::Full, "1,-")], "1,-", 0);
    check(&t, &[insert("1,-"), insert("1,-"), update(old("1,-"), "1,~")], "1,-x2", 0);
    check(&t, &[insert("1,-"), insert("1,-"), update(old("1,-"), "2,3")], "1,- 2,3", 0);
    check(&t, &[delete(OldKind::Full, "1,2")], "", 1);
}

#[test]
fn an_old_row_may_have_null_for_a_column_added_with_a_default() {
    // `b` was added with the default 5: reading the table gives 5, the old row of one never rewritten has NULL.
    let t = relation(Identity::Full, "a! b!");
    let messages = [
        insert("1,5"),
        insert("2,5"),
        insert("2,7"),
        delete(OldKind::Full, "1,-"),
        delete(OldKind::Full, "2,-"),
        insert("3,-"),
        delete(OldKind::Full, "3,-"),
    ];
    check(&t, &messages, "2,7", 0);
}

#[test]
fn a_changed_shape_shows_nulls_until_the_table_is_copied_again() {
    let mut store = Store::new(Arc::default());
    apply(&mut store, Kind::Copy, 10, &[describe(&relation(Identity::Default, "id! a b")), insert("k,1,2")]);
    apply(&mut store, Kind::Stream, 20, &[describe(&relation(Identity::Default, "id! b"))]);
    let view = store.view();
    assert_eq!((rows(&view).as_str(), view.table(&table()).unwrap().is_stale()), ("k,2", false));
    let wider = describe(&relation(Identity::Default, "id! c b"));
    apply(&mut store, Kind::Stream, 30, &[wider.clone(), insert("l,3,4")]);
    let view = store.view();
    assert_eq!((rows(&view).as_str(), view.table(&table()).unwrap().is_stale()), ("k,-,2 l,3,4", true));
    apply(&mut store, Kind::Refresh, 40, &[wider, insert("k,5,2"), insert("l,3,4")]);
    let view = store.view();
    assert_eq!((rows(&view).as_str(), view.table(&table()).unwrap().is_stale()), ("k,5,2 l,3,4", false));
}

#[test]
fn a_copy_replaces_everything_at_its_end() {
    let mut store = Store::new(Arc::default());
    let shape = describe(&relation(Identity::Default, "id! a"));
    apply(&mut store, Kind::Copy, 10, &[shape.clone(), insert("k,1")]);
    let before = store.view();
    let mut second = head(Kind::Copy, 50);
    second.epoch = 2;
    let unit = store.begin(&second, &mut Unobserved);
    store.apply(&decode(&shape).unwrap(), unit, &mut Unobserved).unwrap();
    store.apply(&decode(&insert("l,2")).unwrap(), unit, &mut Unobserved).unwrap();
    store.commit(&second, unit, &mut Unobserved);
    let after = store.view();
    assert_eq!((rows(&before).as_str(), before.epoch), ("k,1", 1));
    assert_eq!((rows(&after).as_str(), after.epoch), ("l,2", 2));
    assert_eq!(after.table(&table()).unwrap().counters().inserts, 0, "copied rows are not inserts");
}

#[test]
fn rows_are_found_by_key_by_index_and_by_looking() {
    let extras = Extras { indexes: vec![IndexSpec { table: table(), columns: vec!["a".into()] }], books: vec![] };
    let mut store = Store::new(Arc::new(extras));
    let shape = describe(&relation(Identity::Default, "id! a b"));
    apply(&mut store, Kind::Copy, 10, &[shape, insert("k,1,2"), insert("l,1,3"), insert("m,-,3")]);
    apply(&mut store, Kind::Stream, 20, &[update(None, "l,9,~"), insert("n,1,4"), delete(OldKind::Key, "k,-,-")]);
    let view = store.view();
    let t = view.table(&table()).unwrap();
    let find = |wanted: &[(usize, Option<&str>)]| {
        let wanted: Vec<_> = wanted.iter().map(|(c, v)| (*c, v.map(str::as_bytes))).collect();
        let mut ids: Vec<_> =
            t.find(&wanted).map(|row| String::from_utf8(row.cell(0).unwrap().to_vec()).unwrap()).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(find(&[(0, Some("l"))]), "l");
    assert_eq!(find(&[(0, Some("l")), (1, Some("1"))]), "");
    assert_eq!(find(&[(1, Some("1"))]), "n");
    assert_eq!(find(&[(1, Some("9"))]), "l");
    assert_eq!(find(&[(1, None)]), "m");
    assert_eq!(find(&[(2, Some("3"))]), "l m");
    assert_eq!(t.get(&[Some(b"n")]).unwrap().row().cell(2), Some(&b"4"[..]));
}

#[test]
fn pages_of_a_listing_cover_it_once() {
    let mut store = Store::new(Arc::default());
    let shape = describe(&relation(Identity::Default, "id!"));
    let rows: Vec<Vec<u8>> = (0..500).map(|i| insert(&i.to_string())).collect();
    apply(&mut store, Kind::Copy, 10, &[vec![shape], rows].concat());
    let view = store.view();
    let t = view.table(&table()).unwrap();
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let (rows, next) = t.page(token.as_deref(), 7).unwrap();
        seen.extend(rows.into_iter().map(|row| row.cell(0).unwrap().to_vec()));
        token = next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 500);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 500);
    assert_eq!(t.page(Some("nonsense"), 7).err(), Some(BadToken));
}

fn orders() -> Extras {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    let book = BookSpec {
        engine: "e".into(),
        table: table(),
        market: vec!["market".into()],
        side: "side".into(),
        bid: texts(&["BUY"]),
        ask: texts(&["SELL"]),
        price: "price".into(),
        quantity: "left".into(),
        resting: Some(("state".into(), texts(&["OPEN"]))),
    };
    Extras { indexes: vec![], books: vec![book] }
}

fn book(view: &View, market: &str) -> String {
    let Some(book) = view.books().book("e", market) else { return "none".into() };
    let side = |levels: Vec<ShownLevel>| {
        levels.iter().map(|l| format!("{}@{}/{}", l.quantity, l.price, l.orders)).collect::<Vec<_>>().join(" ")
    };
    format!("{} | {}", side(book.bids().collect()), side(book.asks().collect()))
}

#[test]
fn books_hold_what_rests_best_first_and_exact() {
    let mut store = Store::new(Arc::new(orders()));
    let shape = describe(&relation(Identity::Default, "id! market side price left state"));
    apply(&mut store, Kind::Copy, 10, &[shape, insert("1,M,BUY,9.50,1.0,OPEN"), insert("2,M,BUY,10,2,OPEN")]);
    let changes = [
        insert("3,M,BUY,9.5,0.25,OPEN"),
        insert("4,M,SELL,100,1,OPEN"),
        insert("5,M,SELL,20.00000001,1,OPEN"),
        insert("6,M,SELL,-,1,OPEN"),
        insert("7,M,SELL,15,1,FILLED"),
        insert("8,M,SELL,15,0,OPEN"),
        insert("9,M,SELL,NaN,1,OPEN"),
    ];
    apply(&mut store, Kind::Stream, 20, &changes);
    let view = store.view();
    assert_eq!(book(&view, "M"), "2@10/1 1.25@9.50/2 | 1@20.00000001/1 1@100/1");
    let notes = store.take_notes();
    assert_eq!(
        (notes.len(), notes[0].key[0].as_deref(), notes[0].why.as_deref()),
        (1, Some("9"), Some("price is NaN"))
    );
    assert_eq!(view.books().crossed(), Vec::<(&str, &str)>::new());
    let changes = [
        update(None, "1,M,BUY,9.50,0.5,OPEN"),
        update(None, "9,M,SELL,9,1,OPEN"),
        delete(OldKind::Key, "3,-,-,-,-,-"),
        update(None, "4,M,SELL,100,1,CANCELLED"),
    ];
    apply(&mut store, Kind::Stream, 30, &changes);
    let view = store.view();
    assert_eq!(book(&view, "M"), "2@10/1 0.5@9.50/1 | 1@9/1 1@20.00000001/1");
    assert_eq!(view.books().crossed(), [("e", "M")]);
    assert_eq!(store.take_notes()[0].why, None, "the row can be used again");
    let again = Store::from_view(Arc::new(orders()), view.clone()).view();
    assert_eq!(book(&again, "M"), book(&view, "M"));
    apply(&mut store, Kind::Stream, 40, &[message(|out| encode_truncate(&[ID], out))]);
    assert_eq!(book(&store.view(), "M"), "none");
}

/// One change of the model.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, Option<String>),
    Move(u8, u8),
    Remove(u8),
    Truncate,
    /// End the transaction here.
    Commit,
    /// Write a checkpoint and start from it.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<u8>(), prop::option::of("[a-zÜ,]{0,40}")).prop_map(|(k, v)| Step::Put(k, v)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Move(a, b)),
        5 => any::<u8>().prop_map(Step::Remove),
        1 => Just(Step::Truncate),
        5 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ]
}

/// The message for a step, which is made on the model too. `None`: it would not happen in a database.
fn make(step: &Step, full: bool, model: &mut BTreeMap<u8, Option<String>>) -> Option<Vec<u8>> {
    let row = |key: &str, value: &Option<String>, out: &mut Vec<u8>, tag: char| {
        let key = Cell::Text(key.as_bytes());
        let value = value.as_deref().map_or(Cell::Null, |v| Cell::Text(v.as_bytes()));
        match tag {
            'I' => encode_insert(ID, [key, value].into_iter(), out),
            'D' => {
                let (kind, value) = if full { (OldKind::Full, value) } else { (OldKind::Key, Cell::Null) };
                encode_delete(ID, kind, [key, value].into_iter(), out);
            }
            other => unreachable!("{other}"),
        }
    };
    match step {
        Step::Put(key, value) => {
            let old = model.insert(*key, value.clone());
            Some(message(|out| match old {
                None => row(&key.to_string(), value, out, 'I'),
                Some(old) => {
                    let key = key.to_string();
                    let cell = |v: &'_ Option<String>| v.clone().unwrap_or_default();
                    let (new_text, old_text) = (cell(value), cell(&old));
                    // A value that did not change is sent as unchanged now and then, as TOAST is.
                    let new = match value {
                        v if *v == old && !full => Cell::Unchanged,
                        None => Cell::Null,
                        Some(_) => Cell::Text(new_text.as_bytes()),
                    };
                    let was = if old.is_some() { Cell::Text(old_text.as_bytes()) } else { Cell::Null };
                    let old = full.then(|| (OldKind::Full, [Cell::Text(key.as_bytes()), was].into_iter()));
                    encode_update(ID, old, [Cell::Text(key.as_bytes()), new].into_iter(), out);
                }
            }))
        }
        Step::Move(from, to) => {
            if from == to || model.contains_key(to) {
                return None;
            }
            let value = model.remove(from)?;
            model.insert(*to, value.clone());
            let (from, to, text) = (from.to_string(), to.to_string(), value.clone().unwrap_or_default());
            let was = if value.is_some() { Cell::Text(text.as_bytes()) } else { Cell::Null };
            let (kind, old) = if full { (OldKind::Full, was) } else { (OldKind::Key, Cell::Null) };
            Some(message(|out| {
                let old = Some((kind, [Cell::Text(from.as_bytes()), old].into_iter()));
                encode_update(ID, old, [Cell::Text(to.as_bytes()), Cell::Unchanged].into_iter(), out);
            }))
        }
        Step::Remove(key) => {
            let value = model.remove(key)?;
            Some(message(|out| row(&key.to_string(), &value, out, 'D')))
        }
        Step::Truncate => {
            model.clear();
            Some(message(|out| encode_truncate(&[ID], out)))
        }
        Step::Commit | Step::Restart => None,
    }
}

fn follows_the_model(shape: &Relation, facts: Option<&TableFacts>, steps: &[Step]) {
    let full = shape.identity == Identity::Full;
    let dir = tempfile::tempdir().unwrap();
    let extras = Arc::new(Extras {
        indexes: vec![IndexSpec { table: table(), columns: vec!["value".into()] }],
        ..Extras::default()
    });
    let mut store = Store::new(Arc::clone(&extras));
    let mut first = vec![describe(shape)];
    first.extend(facts.map(|facts| message(|out| facts.encode(out))));
    apply(&mut store, Kind::Copy, 10, &first);
    let (mut model, mut open, mut lsn) = (BTreeMap::new(), Vec::new(), 20);
    let mut shown = (store.view(), model.clone());
    for step in steps.iter().chain([&Step::Commit]) {
        open.extend(make(step, full, &mut model));
        if matches!(step, Step::Commit | Step::Restart) {
            apply(&mut store, Kind::Stream, lsn, &std::mem::take(&mut open));
            lsn += 10;
            same(&shown.0, &shown.1);
            shown = (store.view(), model.clone());
        }
        if matches!(step, Step::Restart) {
            let checkpoint = checkpoints::write(dir.path(), &store.view(), 5).unwrap();
            let view = checkpoint::read(&checkpoint.path, 5).unwrap();
            assert_eq!((view.position, view.epoch), (shown.0.position, 1));
            store = Store::from_view(Arc::clone(&extras), view);
        }
    }
    same(&shown.0, &model);
    assert_eq!(shown.0.table(&table()).unwrap().counters().misfits, 0);
}

fn same(view: &View, model: &BTreeMap<u8, Option<String>>) {
    let table = view.table(&table()).unwrap();
    let text = |c: Option<&[u8]>| c.map(|c| String::from_utf8(c.to_vec()).unwrap());
    let rows: BTreeMap<u8, Option<String>> =
        table.rows().map(|row| (text(row.cell(0)).unwrap().parse().unwrap(), text(row.cell(1)))).collect();
    assert_eq!(&rows, model);
    assert_eq!(table.len(), model.len() as u64);
    for value in model.values() {
        let wanted = [(1, value.as_deref().map(str::as_bytes))];
        assert_eq!(table.find(&wanted).count(), model.values().filter(|v| *v == value).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_history_in_any_batches_with_restarts_equals_the_model(steps in prop::collection::vec(step(), 0..250)) {
        let keyed = relation(Identity::Default, "id! value");
        follows_the_model(&keyed, None, &steps);
        let full = relation(Identity::Full, "id! value!");
        let facts = TableFacts { relation: full.clone(), primary_key: vec!["id".into()], indexes: vec![], lineage: Lineage::default() };
        follows_the_model(&full, Some(&facts), &steps);
        follows_the_model(&full, None, &steps);
    }
}

#[test]
fn a_table_is_shown_from_its_copy_on_until_a_copy_leaves_it_out() {
    let mut store = Store::new(Arc::default());
    let shape = describe(&relation(Identity::Default, "id! a"));
    apply(&mut store, Kind::Stream, 10, &[shape.clone(), insert("1,x")]);
    assert!(store.view().table(&table()).is_none(), "what it held before is still to come");
    apply(&mut store, Kind::Refresh, 20, &[shape.clone(), insert("0,w"), insert("1,x")]);
    assert_eq!(rows(&store.view()), "0,w 1,x");
    apply(&mut store, Kind::Refresh, 30, &[]);
    assert!(store.view().table(&table()).is_none());
    // After a restart the heads of segments still announce it.
    let mut again = Store::from_view(Arc::default(), store.view());
    again.preamble(decode(&shape).unwrap());
    assert!(again.view().table(&table()).is_none());
    apply(&mut again, Kind::Stream, 40, &[insert("2,y")]);
    assert!(again.view().table(&table()).is_none());
    apply(&mut again, Kind::Refresh, 50, &[shape, insert("2,y")]);
    assert_eq!(rows(&again.view()), "2,y");
}

#[test]
fn a_renamed_table_is_found_after_a_restart_within_the_segment_that_knew_its_old_name() {
    let named = |name: &str| Relation { table: TableName::new("s", name), ..relation(Identity::Default, "id! a") };
    let facts = |relation: &Relation| {
        let (relation, primary_key) = (relation.clone(), vec!["id".into()]);
        message(|out| TableFacts { relation, primary_key, indexes: vec![], lineage: Lineage::default() }.encode(out))
    };
    let (old, new) = (named("old"), named("t"));
    let mut store = Store::new(Arc::default());
    apply(&mut store, Kind::Copy, 10, &[describe(&old), facts(&old), insert("1,x")]);
    let refresh = Head { tables: vec!["s.old".into(), "s.t".into()], ..head(Kind::Refresh, 20) };
    let unit = store.begin(&refresh, &mut Unobserved);
    for raw in [describe(&new), facts(&new), insert("1,x"), insert("2,y")] {
        store.apply(&decode(&raw).unwrap(), unit, &mut Unobserved).unwrap();
    }
    store.commit(&refresh, unit, &mut Unobserved);
    let mut again = Store::from_view(Arc::default(), store.view());
    for raw in [describe(&old), facts(&old), describe(&new), facts(&new)] {
        again.preamble(decode(&raw).unwrap());
    }
    apply(&mut again, Kind::Stream, 30, &[insert("3,z")]);
    assert_eq!(rows(&again.view()), "1,x 2,y 3,z");
    assert!(again.view().table(&TableName::new("s", "old")).is_none());
}

#[test]
fn a_damaged_checkpoint_is_refused_wherever_it_is_damaged() {
    let mut store = Store::new(Arc::default());
    let shape = describe(&relation(Identity::Default, "id! a"));
    let rows: Vec<Vec<u8>> = (0..300).map(|i| insert(&format!("{i},x"))).collect();
    apply(&mut store, Kind::Copy, 10, &[vec![shape], rows].concat());
    let dir = tempfile::tempdir().unwrap();
    let path = checkpoints::write(dir.path(), &store.view(), 5).unwrap().path;
    assert!(checkpoint::read(&path, 6).is_err(), "another server's");
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(rows_of(&checkpoint::read(&path, 5).unwrap()), 300);
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        assert!(checkpoint::read(&path, 5).is_err(), "damage at {at} was not seen");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(checkpoint::read(&path, 5).is_err(), "cut at {at} was not seen");
    }
}

fn rows_of(view: &View) -> u64 {
    view.tables().map(|t| t.len()).sum()
}
