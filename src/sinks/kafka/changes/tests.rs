//! The feed from messages to records: what is told, under which name, and what is not.

use std::sync::Arc;

use super::*;
use crate::model::{Column, Identity, Pattern};
use crate::pgoutput::{Cell, Lineage, OldKind, TupleBuffer};
use crate::sinks::kafka::json::Modes;
use crate::sinks::kafka::topic::Template;

/// Takes records as one line each: topic, op or `-`, op of the position, part.
#[derive(Default)]
struct Taken {
    lines: Vec<String>,
    /// Values with this text are too large.
    too_large: Option<&'static str>,
}

impl Out for Taken {
    fn put(&mut self, record: &Produce<'_>) -> Result<(), PutError> {
        let value = record.value.map(|value| String::from_utf8(value.to_vec()).unwrap()).unwrap_or_default();
        if self.too_large.is_some_and(|text| value.contains(text)) {
            return Err(PutError::Unfit("is too large".into()));
        }
        let kind = ["\"op\":\"", "\"status\":\""].iter().find_map(|mark| value.split(mark).nth(1)?.split('"').next());
        let kind = kind.unwrap_or(if record.value.is_none() { "null" } else { "-" });
        let count = value.split("\"event_count\":").nth(1).and_then(|rest| rest.split(',').next());
        let count = count.filter(|count| *count != "null").map(|count| format!("={count}")).unwrap_or_default();
        let op = record.position.op & 0xFF;
        self.lines.push(format!("{} {kind}{count} {:X}.{op:X}/{}", record.topic, record.position.lsn.0, record.part));
        Ok(())
    }
}

fn settings(topic: &str) -> Settings {
    Settings {
        prefix: "p".into(),
        version: "1".into(),
        database: "db".into(),
        topic: Template::parse(topic).unwrap(),
        suffix: String::new(),
        tables: Pattern::parse_list("s.*").unwrap(),
        excluded: Vec::new(),
        special: Vec::new(),
        mask_secret: Secret::default(),
        format: Format::Json,
        modes: Modes::default(),
        truncate: Truncate::Event,
        tombstones: true,
        messages: true,
        transactions: false,
        heartbeat_every: None,
        whole_rows: false,
        unfit: Unfitting::Quarantine,
        quarantine_topic: "p.quarantine".into(),
        clock: || 0,
        rows_before: None,
    }
}

/// `(id int4 primary key, note text)`, FULL.
fn table(id: u32, name: &str) -> TableFacts {
    let column = |name: &str, type_oid| Column { name: name.into(), in_identity: true, type_oid, type_modifier: -1 };
    let table = TableName::parse(name).unwrap();
    let relation =
        Relation { id, table, identity: Identity::Full, columns: vec![column("id", 23), column("note", 25)] };
    TableFacts { relation, primary_key: vec!["id".into()], indexes: Vec::new(), lineage: Lineage::default() }
}

/// A feed that stands after position 1 and knows `s.a` (1), `s.b` (2) and `other.c` (3).
fn feed(settings: Settings) -> Changes {
    let feed = Changes::new(Arc::new(settings), Position::whole(Lsn(1)), Some(Lsn(1))).unwrap();
    knowing(feed, vec![table(1, "s.a"), table(2, "s.b"), table(3, "other.c")])
}

/// The feed, once it knows these tables too.
fn knowing(mut feed: Changes, tables: Vec<TableFacts>) -> Changes {
    for facts in tables {
        let mut bytes = Vec::new();
        crate::pgoutput::encode_relation(&facts.relation, &mut bytes);
        feed.preamble(crate::pgoutput::decode(&bytes).unwrap()).unwrap();
        feed.preamble(Message::Facts(facts)).unwrap();
    }
    feed
}

fn head(kind: Kind, tables: &[&str]) -> Head {
    Head {
        kind,
        xid: 7,
        begin_lsn: Lsn(0x20),
        commit_lsn: Lsn(0x30),
        end_lsn: Lsn(0x40),
        commit_time_us: 0,
        epoch: 2,
        messages: 0,
        bytes: 0,
        tables: tables.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn row(id: &str, note: &str) -> TupleBuffer {
    let mut row = TupleBuffer::default();
    row.push(Cell::Text(id.as_bytes()));
    row.push(Cell::Text(note.as_bytes()));
    row
}

/// The records of one unit.
fn check(settings: Settings, head: &Head, messages: &[Message<'_>], too_large: Option<&'static str>, want: &[&str]) {
    let out = Taken { too_large, ..Taken::default() };
    assert_eq!(take(&mut feed(settings), out, head, messages), want);
}

/// What `out` holds once the feed was given one unit.
fn take(feed: &mut Changes, mut out: Taken, head: &Head, messages: &[Message<'_>]) -> Vec<String> {
    feed.begin(head, &mut out).unwrap();
    let mut op = 0;
    for message in messages {
        feed.message(Lsn(0x28), message, Position::at(head.end_lsn, op), &mut out).unwrap();
        op += message.ops();
    }
    feed.commit(head, &mut out).unwrap();
    out.lines
}

fn truncate(relation_ids: Vec<u32>) -> Message<'static> {
    Message::Truncate { relation_ids, cascade: false, restart_identity: false }
}

fn audit() -> Message<'static> {
    Message::Logical(Logical { transactional: true, lsn: Lsn(0x28), prefix: "audit", content: b"x" })
}

#[test]
fn a_new_epoch_is_told_and_replaced_tables_are_emptied_under_names_of_their_own() {
    let copy = head(Kind::Copy, &["s.a", "s.b", "other.c"]);
    let (mut shared, mut out) = (feed(settings("all")), Taken::default());
    shared.begin(&copy, &mut out).unwrap();
    out.lines.sort();
    assert_eq!(out.lines, ["all t 1.FF/0", "all t 1.FF/1", "p.message m 1.FF/0"]);
    // The rows that a sink begins with: nothing was there.
    check(settings("{table}"), &head(Kind::Copy, &[]), &[], None, &[]);
    let quiet = Settings { truncate: Truncate::Skip, messages: false, ..settings("{table}") };
    check(quiet, &copy, &[], None, &[]);
}

#[test]
fn a_transaction_is_told_when_something_of_it_is_produced_and_counts_all_of_that() {
    let told = || Settings { transactions: true, ..settings("{table}") };
    let stream = head(Kind::Stream, &[]);
    check(told(), &stream, &[truncate(vec![3])], None, &[]);
    check(Settings { truncate: Truncate::Skip, ..told() }, &stream, &[truncate(vec![1])], None, &[]);
    let border = |text: &str| format!("p.transaction {text}");
    let (begin, end) = (border("BEGIN 40.0/0"), |count: u32| border(&format!("END={count} 40.FF/0")));
    let both = &["a t 40.0/0", "b t 40.1/0"];
    check(told(), &stream, &[truncate(vec![1, 2])], None, &[&begin, both[0], both[1], &end(2)]);
    check(told(), &stream, &[audit()], None, &[&begin, "p.message m 40.0/0", &end(1)]);
    check(told(), &stream, &[truncate(vec![3]), audit()], None, &[&begin, "p.message m 40.1/0", &end(1)]);
}

#[test]
fn another_key_is_three_records_and_what_does_not_fit_is_put_aside() {
    let stream = head(Kind::Stream, &[]);
    let (old, new) = (row("1", "x"), row("2", "y"));
    let moved = Message::Update { relation_id: 1, old: Some((OldKind::Full, old.tuple())), new: new.tuple() };
    let three = ["a d 40.0/0", "a null 40.0/1", "a c 40.0/2"];
    check(settings("{table}"), &stream, std::slice::from_ref(&moved), None, &three);
    let bare = Settings { tombstones: false, ..settings("{table}") };
    check(bare, &stream, std::slice::from_ref(&moved), None, &[three[0], three[2]]);
    let aside = ["a d 40.0/0", "a null 40.0/1", "p.quarantine - 40.0/0"];
    check(settings("{table}"), &stream, std::slice::from_ref(&moved), Some("\"note\":\"y\""), &aside);
    let insert = Message::Insert { relation_id: 1, new: new.tuple() };
    let stop = || Settings { unfit: Unfitting::Stop, ..settings("{table}") };
    check(stop(), &stream, &[insert.clone(), insert, audit()], Some("\"note\":\"y\""), &["p.message m 40.2/0"]);
}

/// The same, where everything fits.
fn give(feed: &mut Changes, head: &Head, messages: &[Message<'_>]) -> Vec<String> {
    take(feed, Taken::default(), head, messages)
}

#[test]
fn a_topic_that_stopped_at_a_truncate_stops_at_the_next_one_too() {
    let (stop, stream, new) =
        (Settings { truncate: Truncate::Stop, ..settings("{table}") }, head(Kind::Stream, &[]), row("2", "y"));
    let insert = || Message::Insert { relation_id: 1, new: new.tuple() };
    let unit = [insert(), truncate(vec![1]), insert(), truncate(vec![1]), insert()];
    let mut first = feed(stop.clone());
    assert_eq!(give(&mut first, &stream, &unit), ["a c 40.0/0"]);
    let mut stopped = first.stopped();
    for (want, again) in [("a c 40.2/0", true), ("a c 40.4/0", false)] {
        assert_eq!(stopped.len(), 1);
        let note = (note_of(&stopped[0].table), stopped[0].resuming());
        let owed = Stopped::of_notes(&[note].into()).unwrap().resuming();
        let (from, known) = (owed[0].position, vec![table(1, "s.a")]);
        let mut catcher = knowing(Changes::catching_up(&stop, from, owed).unwrap(), known);
        assert_eq!(give(&mut catcher, &stream, &unit), [want]);
        stopped = catcher.stopped();
        assert_eq!(!stopped[0].resuming, again);
    }
}

#[test]
fn a_table_that_comes_to_the_topic_of_another_stops() {
    let stream = head(Kind::Stream, &[]);
    let mut feed = knowing(feed(settings("{table}")), vec![table(4, "s.x-y z"), table(5, "s.x-y_z")]);
    let new = row("1", "x");
    let insert = |relation_id| Message::Insert { relation_id, new: new.tuple() };
    let records = give(&mut feed, &stream, &[insert(4), insert(5), insert(4)]);
    assert_eq!(records, ["x-y_z c 40.0/0", "x-y_z c 40.2/0"]);
    let stopped = feed.stopped();
    assert!(stopped.len() == 1 && stopped[0].reason.contains("is that of s.x-y z"), "{stopped:?}");
}

#[test]
fn a_column_called_as_a_field_of_plain_stops_the_topic() {
    let mut facts = table(4, "s.odd");
    facts.relation.columns[1].name = "__op".into();
    let plain = Settings { format: Format::Plain, ..settings("{table}") };
    let mut feed = knowing(feed(plain), vec![facts]);
    let new = row("1", "x");
    let insert = Message::Insert { relation_id: 4, new: new.tuple() };
    assert!(give(&mut feed, &head(Kind::Stream, &[]), &[insert]).is_empty());
    assert!(feed.stopped()[0].reason.contains("its column __op"), "{:?}", feed.stopped());
}
