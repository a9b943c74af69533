//! `tape cat`: transactions and their changes, one JSON object a line. It prints rows: that is what it is asked for.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::time_text;
use crate::model::{Position, Relation};
use crate::pgoutput::{self, Cell, Message, OldKind, Relations, Tuple};
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Entry, Follower, Head, Reader, Transaction};

/// What to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// Start after this; `None` for the tape's start.
    pub after: Option<Position>,
    /// Stop after this.
    pub to: Option<Position>,
    /// Stop after so many transactions.
    pub limit: Option<u64>,
    /// Leave out the changes.
    pub heads: bool,
}

/// What was printed.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    /// Transactions, copies and messages.
    pub transactions: u64,
    /// Changes in them.
    pub changes: u64,
    /// The position after the last one.
    pub position: Position,
}

/// Gives each line to `line`, until it returns false. At the tape's end `wait` says, when it is time to look again,
/// whether to go on.
pub fn cat(
    dir: &Path,
    range: Range,
    mut wait: impl FnMut() -> bool,
    mut line: impl FnMut(&Value) -> bool,
) -> Result<Totals, Refusal> {
    let refused = tape::Error::into_refusal;
    let mut follower = Follower::start(dir).map_err(refused)?;
    let start = match range.after {
        Some(position) => position,
        None => Position::whole(tape::usage(dir).map_err(refused)?.oldest),
    };
    let mut reader = Reader::open(dir, start, follower.watermark()).map_err(refused)?;
    let mut printer = Printer { relations: Relations::default(), totals: Totals::default(), heads: range.heads };
    printer.totals.position = start;
    while range.limit.is_none_or(|limit| printer.totals.transactions < limit) {
        let ended = range.to.is_some_and(|to| Position::whole(reader.position()) >= to);
        let Some(entry) = reader.next().map_err(refused)? else {
            if ended || !wait() {
                break;
            }
            follower.look().map_err(refused)?;
            continue;
        };
        let more = match entry {
            Entry::Preamble(mut messages) => {
                while let Some((_, raw)) = messages.next_message().map_err(refused)? {
                    printer.learn(raw)?;
                }
                true
            }
            Entry::Transaction(transaction) => {
                let beyond = range.to.is_some_and(|to| Position::whole(transaction.head().end_lsn) > to);
                !beyond && printer.transaction(transaction, &mut line)?
            }
            Entry::Progress(_) => true,
            Entry::Gap(gap) => line(&json!({"kind": "gap", "from": gap.from, "to": gap.to, "reason": gap.reason})),
        };
        if !more {
            break;
        }
    }
    Ok(printer.totals)
}

/// What is known so far.
struct Printer {
    relations: Relations,
    totals: Totals,
    heads: bool,
}

impl Printer {
    fn transaction(
        &mut self,
        mut transaction: Transaction<'_>,
        line: &mut impl FnMut(&Value) -> bool,
    ) -> Result<bool, Refusal> {
        let head = transaction.head().clone();
        if !line(&head_line(&head)) {
            return Ok(false);
        }
        let mut op = 0;
        while let Some((_, raw)) = transaction.next_message().map_err(tape::Error::into_refusal)? {
            let message = decode(raw)?;
            if let Message::Relation(relation) = &message {
                self.relations.learn(relation);
            }
            let position = Position::at(head.end_lsn, op);
            op += message.ops();
            self.totals.changes += message.ops();
            if !self.heads && self.change(&message).is_some_and(|change| !line(&change_line(position, change))) {
                return Ok(false);
            }
        }
        self.totals.transactions += 1;
        self.totals.position = Position::whole(head.end_lsn);
        Ok(true)
    }

    fn learn(&mut self, raw: &[u8]) -> Result<(), Refusal> {
        if let Message::Relation(relation) = decode(raw)? {
            self.relations.learn(&relation);
        }
        Ok(())
    }

    /// The line of a message, without its position; `None` for messages that change nothing.
    fn change(&self, message: &Message<'_>) -> Option<Map<String, Value>> {
        let of = |id: &u32, op: &str| {
            let table = self.relations.get(*id).map_or_else(|| format!("oid {id}"), |r| r.table.to_string());
            Map::from_iter([("table".to_owned(), json!(table)), ("op".to_owned(), json!(op))])
        };
        let relation = |id: &u32| self.relations.get(*id).map(AsRef::as_ref);
        let row = |id: &u32, tuple: &Tuple<'_>| row_of(relation(id), tuple, Nulls::Known);
        let old_row = |id: &u32, kind: OldKind, tuple: &Tuple<'_>| match kind {
            OldKind::Full => row(id, tuple),
            OldKind::Key => row_of(relation(id), tuple, Nulls::NotSent),
        };
        match message {
            Message::Insert { relation_id, new } => {
                let mut line = of(relation_id, "insert");
                line.insert("new".into(), row(relation_id, new));
                Some(line)
            }
            Message::Update { relation_id, old, new } => {
                let mut line = of(relation_id, "update");
                if let Some((kind, old)) = old {
                    line.insert("old".into(), old_row(relation_id, *kind, old));
                }
                line.insert("new".into(), row(relation_id, new));
                Some(line)
            }
            Message::Delete { relation_id, kind, old } => {
                let mut line = of(relation_id, "delete");
                line.insert("old".into(), old_row(relation_id, *kind, old));
                Some(line)
            }
            Message::Truncate { relation_ids, .. } => {
                let tables: Vec<Value> = relation_ids.iter().map(|id| of(id, "").remove("table").into()).collect();
                Some(Map::from_iter([("op".to_owned(), json!("truncate")), ("tables".to_owned(), json!(tables))]))
            }
            Message::Logical(logical) => Some(Map::from_iter([
                ("op".to_owned(), json!("message")),
                ("prefix".to_owned(), json!(logical.prefix)),
                ("content".to_owned(), json!(String::from_utf8_lossy(logical.content))),
            ])),
            Message::Begin(_)
            | Message::Commit(_)
            | Message::Origin { .. }
            | Message::Relation(_)
            | Message::Type { .. }
            | Message::Facts(_) => None,
        }
    }
}

fn decode(raw: &[u8]) -> Result<Message<'_>, Refusal> {
    pgoutput::decode(raw).map_err(|e| {
        let hint = "the frame's checksum is right, so it was written like this: report it";
        Refusal::new(Kind::Tape, format!("a message on the tape cannot be read: {e}"), hint)
    })
}

fn head_line(head: &Head) -> Value {
    let kind = match head.kind {
        tape::Kind::Stream => "transaction",
        tape::Kind::Message => "message",
        tape::Kind::Copy => "copy",
        tape::Kind::Refresh => "refresh",
    };
    json!({
        "kind": kind, "position": Position::whole(head.end_lsn), "epoch": head.epoch, "xid": head.xid,
        "commit_lsn": head.commit_lsn, "end_lsn": head.end_lsn, "time": time_text(head.commit_time_us),
        "messages": head.messages, "bytes": head.bytes,
    })
}

fn change_line(position: Position, change: Map<String, Value>) -> Value {
    let mut line = Map::from_iter([("position".to_owned(), json!(position))]);
    line.extend(change);
    Value::Object(line)
}

/// What a null cell of a row means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// The value is NULL.
    Known,
    /// It is no column of the key (those are never NULL): nothing was sent of it.
    NotSent,
}

/// `{"col":"text"|null}`; a value that was not sent is left out.
fn row_of(relation: Option<&Relation>, tuple: &Tuple<'_>, nulls: Nulls) -> Value {
    let mut row = Map::new();
    for (i, cell) in tuple.cells().enumerate() {
        let name =
            relation.and_then(|r| r.columns.get(i)).map_or_else(|| format!("column {i}"), |c| c.name.to_string());
        match cell {
            Cell::Null if nulls == Nulls::NotSent => {}
            Cell::Null => drop(row.insert(name, Value::Null)),
            Cell::Text(text) => drop(row.insert(name, json!(String::from_utf8_lossy(text)))),
            Cell::Unchanged => {}
        }
    }
    Value::Object(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Identity, Lsn, TableName};
    use crate::tape::{Begin, Intent, Options, Origin, Proof, Writer};

    const KEY: Cell<'_> = Cell::Text(b"a");

    fn relation() -> Relation {
        let column =
            |name: &str, in_identity| Column { name: name.into(), in_identity, type_oid: 25, type_modifier: -1 };
        let columns = vec![column("id", true), column("note", false)];
        Relation { id: 7, table: TableName::new("shop", "orders"), identity: Identity::Default, columns }
    }

    /// An insert, after what tells of its table.
    fn insert() -> [Vec<u8>; 2] {
        let mut messages = [Vec::new(), Vec::new()];
        pgoutput::encode_relation(&relation(), &mut messages[0]);
        pgoutput::encode_insert(7, [KEY, Cell::Null].into_iter(), &mut messages[1]);
        messages
    }

    fn unit(writer: &mut Writer, kind: tape::Kind, lsn: u64) {
        let tables = if kind == tape::Kind::Copy { vec!["shop.orders".into()] } else { vec![] };
        writer.begin(Begin { kind, xid: 5, begin_lsn: Lsn(lsn - 1), commit_time_us: 0, tables }).unwrap();
        insert().iter().for_each(|m| writer.push(Lsn(0), m).unwrap());
        writer.commit(Lsn(lsn - 1), Lsn(lsn)).unwrap();
    }

    /// A writer with small segments.
    fn open(dir: &Path) -> Writer {
        let origin = Origin { system_id: 1, timeline: 1, database_oid: 1, fingerprint: 1, slot: "s".into() };
        let options = Options { segment_bytes: 4096, compress: false, ..Options::default() };
        Writer::open(dir, options, origin, &Proof::NONE).unwrap().0
    }

    fn write(dir: &Path) -> Writer {
        let mut writer = open(dir);
        writer.intent(Intent { slot: "s".into(), epoch: 1, tables: vec!["shop.orders".into()] }).unwrap();
        for (kind, lsn) in [(tape::Kind::Copy, 10), (tape::Kind::Stream, 20), (tape::Kind::Stream, 30)] {
            unit(&mut writer, kind, lsn);
        }
        writer.sync().unwrap();
        writer
    }

    /// The lines, as they are printed.
    fn lines(dir: &Path, range: Range, wait: impl FnMut() -> bool) -> Vec<Value> {
        let mut lines = Vec::new();
        cat(dir, range, wait, |line| {
            lines.push(line.clone());
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn transactions_are_printed_from_position_to_position() {
        let dir = tempfile::tempdir().unwrap();
        drop(write(dir.path()));
        let check = |range: Range, want: &[&str]| {
            let text = |line: &Value| {
                format!("{} {}", line["kind"].as_str().unwrap_or("-"), line["op"].as_str().unwrap_or("-"))
            };
            let lines: Vec<String> = lines(dir.path(), range, || false).iter().map(text).collect();
            assert_eq!(lines, want, "{range:?}");
        };
        let change = "- insert";
        check(Range::default(), &["copy -", change, "transaction -", change, "transaction -", change]);
        check(Range { heads: true, limit: Some(2), ..Range::default() }, &["copy -", "transaction -"]);
        let at = |lsn| Some(Position::whole(Lsn(lsn)));
        check(Range { after: at(10), to: at(20), ..Range::default() }, &["transaction -", change]);
        check(Range { after: at(30), ..Range::default() }, &[]);
        let beyond = Range { after: at(99), ..Range::default() };
        assert_eq!(cat(dir.path(), beyond, || false, |_| true).unwrap_err().kind, Kind::Tape);
    }

    #[test]
    fn what_is_appended_later_is_printed_across_segments_and_writers() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Some(write(dir.path()));
        let segments = || tape::usage(dir.path()).unwrap().segments;
        let mut lsn = 30;
        let wait = || {
            if lsn == 900 {
                drop(writer.take());
                writer = Some(open(dir.path()));
            }
            let open = writer.as_mut().unwrap();
            for _ in 0..3 {
                lsn += 10;
                unit(open, tape::Kind::Stream, lsn);
            }
            open.sync().unwrap();
            if open.roll_due() {
                open.roll(&[insert()[0].clone().into()]).unwrap();
            }
            lsn < 1500
        };
        let heads = lines(dir.path(), Range { heads: true, ..Range::default() }, wait);
        let want: Vec<Value> = (1..=147).map(|n| json!(Position::whole(Lsn(n * 10)))).collect();
        assert_eq!(heads.iter().map(|line| line["position"].clone()).collect::<Vec<_>>(), want);
        assert!(segments() > 3, "{} segments", segments());

        // It ends by itself where it was told to.
        let to = Some(Position::whole(Lsn(50)));
        let mut waits = 0;
        let heads = lines(dir.path(), Range { heads: true, to, ..Range::default() }, || {
            waits += 1;
            true
        });
        assert_eq!((heads.len(), waits), (5, 0));
    }

    #[test]
    fn a_change_names_table_columns_and_position() {
        let dir = tempfile::tempdir().unwrap();
        drop(write(dir.path()));
        let lines = lines(dir.path(), Range { limit: Some(1), ..Range::default() }, || false);
        let want = r#"{"position":"000000000000000A.0000000000","table":"shop.orders","op":"insert","new":{"id":"a","note":null}}"#;
        assert_eq!(lines[1].to_string(), want);
    }

    #[test]
    fn of_a_row_only_what_was_sent_is_printed() {
        let mut printer = Printer { relations: Relations::default(), totals: Totals::default(), heads: false };
        printer.learn(&insert()[0]).unwrap();
        let check = |message: &[u8], want: Value| {
            let line = Value::Object(printer.change(&decode(message).unwrap()).unwrap());
            assert_eq!((&line["old"], &line["new"]), (&want["old"], &want["new"]));
        };
        let full = || [KEY, Cell::Null].into_iter();
        let delete = |kind| {
            let mut out = Vec::new();
            pgoutput::encode_delete(7, kind, full(), &mut out);
            out
        };
        check(&delete(OldKind::Key), json!({"old": {"id": "a"}}));
        check(&delete(OldKind::Full), json!({"old": {"id": "a", "note": null}}));
        let mut update = Vec::new();
        let new = [Cell::Text(b"b"), Cell::Unchanged].into_iter();
        pgoutput::encode_update(7, Some((OldKind::Key, full())), new, &mut update);
        check(&update, json!({"old": {"id": "a"}, "new": {"id": "b"}}));
    }
}
