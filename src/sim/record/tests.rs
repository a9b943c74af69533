use std::fs::{self, OpenOptions};
use std::io::Write;

use super::*;
use crate::sim::actor::{image, text};

const CLOCK: Clock = Clock { start_us: 1_000, tick_us: 10 };

fn row(id: u64, value: &str) -> Effect {
    Effect::row("s.t", &["id"], image([("id", text(id)), ("value", text(value)), ("note", None)]))
}

fn open(dir: &Path) -> Result<Record, Error> {
    Record::open(dir, "perplex", 7, CLOCK)
}

fn write(record: &mut Record, id: u64, value: &str) {
    record.begin(&value, vec![row(id, value)]).unwrap();
    record.acknowledge(Lsn(id)).unwrap();
}

fn value_of(state: &State, id: u64) -> Option<String> {
    let key = RowKey { table: "s.t".into(), key: [("id".to_owned(), id.to_string())].into() };
    state.image(&key)?.and_then(|image| image["value"].clone())
}

#[test]
fn a_record_is_read_back_with_its_event_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = open(dir.path()).unwrap();
    write(&mut record, 1, "a");
    write(&mut record, 1, "b");
    record.begin(&"in flight", vec![row(1, "c"), Effect::gone("s.t", &[("id", "2")])]).unwrap();
    let before = record.state().clone();
    drop(record);

    let record = open(dir.path()).unwrap();
    assert_eq!(*record.state(), before);
    let state = record.state();
    assert_eq!((state.acknowledged, state.lsn, value_of(state, 1)), (2, Lsn(1), Some("b".into())));
    assert_eq!(state.in_flight().unwrap().event, "in flight");
    assert_eq!(read_all(dir.path()).unwrap(), [before]);
}

#[test]
fn a_line_cut_by_a_kill_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = open(dir.path()).unwrap();
    write(&mut record, 1, "a");
    drop(record);
    let path = path_of(dir.path(), "perplex");
    let whole = fs::read(&path).unwrap();
    // Wherever the last line (the acknowledgement) is cut, the event is in flight again.
    let last_line = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in last_line..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut record = open(dir.path()).unwrap();
        assert_eq!((record.state().acknowledged, record.state().in_flight().is_some()), (0, true), "cut at {cut}");
        record.acknowledge(Lsn(1)).unwrap();
        assert_eq!(value_of(record.state(), 1), Some("a".into()));
    }
}

#[test]
fn damage_before_the_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = open(dir.path()).unwrap();
    write(&mut record, 1, "a");
    write(&mut record, 2, "b");
    drop(record);
    let path = path_of(dir.path(), "perplex");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Refused(refusal)) if refusal.what.contains("damaged")));
}

#[test]
fn two_writers_and_another_seed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let record = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Refused(refusal)) if refusal.kind == Kind::Locked));
    drop(record);
    assert!(matches!(Record::open(dir.path(), "perplex", 8, CLOCK), Err(Error::Refused(_))));
}

#[test]
fn compaction_keeps_what_counts_and_a_torn_one_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = open(dir.path()).unwrap();
    for n in 0..100 {
        write(&mut record, n % 3, &n.to_string());
    }
    let (before, bytes) = (record.state().clone(), record.bytes);
    record.compact().unwrap();
    assert!(record.bytes < bytes / 10, "{} of {bytes} bytes", record.bytes);
    write(&mut record, 9, "after");
    drop(record);
    let torn = path_of(dir.path(), "perplex").with_extension("record.new");
    OpenOptions::new().create(true).append(true).open(torn).unwrap().write_all(b"0000 {").unwrap();
    let mut record = open(dir.path()).unwrap();
    assert_eq!(record.state().acknowledged, before.acknowledged + 1);
    assert_eq!(record.state().rows(), before.rows() + 1);
    assert_eq!(value_of(record.state(), 2), value_of(&before, 2));
    record.compact().unwrap();
}
