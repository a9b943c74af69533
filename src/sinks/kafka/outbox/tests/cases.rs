//! One rule each.

use super::*;

#[test]
fn a_row_becomes_a_record_of_its_aggregate() {
    let mut world = World::new(MARKED);
    let headers = r#"{"trace": "a b", "n": 1.50}"#.to_owned();
    let row =
        Row { id: "7".into(), aggregate: "x".into(), payload: Some("{\"a\": 1}".into()), headers, ..Row::default() };
    world.insert_row(row);
    world.settle();
    let sent = &world.log[0];
    assert_eq!((sent.topic.as_str(), sent.key.as_deref()), ("outbox.event.order", Some("x")));
    assert_eq!((sent.value.as_deref(), sent.place), (Some("{\"a\": 1}"), (Position::at(Lsn(16), 0), 0)));
    let headers: Vec<(&str, &str)> = sent.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("eventType", "order.placed"), ("id", "7"), ("n", "1.50"), ("trace", "a b")]);
    assert!(world.table["7"].delivered && world.table["7"].status == "delivered" && world.table["7"].attempts == 1);
    assert!(world.notes.is_empty(), "the mark has come back");
}

#[test]
fn a_row_holds_back_its_aggregate_until_it_is_available() {
    let mut world = World::new(MARKED);
    world.insert(1, "a", 60);
    world.insert(2, "a", 0);
    world.insert(3, "b", 0);
    while world.read() {}
    world.kafka_commit();
    assert_eq!(world.tick(0), Some(60));
    world.kafka_commit();
    assert_eq!(world.said(), "3");
    let parked: Vec<String> = world.status().parked().into_iter().map(|row| row.id).collect();
    assert_eq!(parked, ["1", "2"]);
    world.crash();
    assert_eq!(world.tick(59), Some(1));
    world.tick(1);
    world.kafka_commit();
    assert_eq!(world.said(), "3 1 2");
}

#[test]
fn a_failed_row_backs_off_and_goes_to_the_dead_letters() {
    let mut world = World::judged(MARKED, |record, _| {
        record.topic == "outbox.dead_letter" || !record.value.unwrap().ends_with(b" 1}")
    });
    world.insert(1, "a", 0);
    world.insert(2, "a", 0);
    while world.read() {}
    assert_eq!(world.tick(0), Some(1), "the first back-off");
    world.kafka_commit();
    assert_eq!((world.mark(), world.table["1"].attempts), (1, 1), "the attempt is written");
    world.crash();
    assert_eq!(world.tick(1), Some(2), "doubled");
    world.tick(2);
    world.kafka_commit();
    assert_eq!(world.said(), "!1 2");
    let dead = &world.log[0];
    assert_eq!((dead.key.as_deref(), dead.value.as_deref()), (Some("a"), Some("{\"n\": 1}")));
    assert_eq!(dead.headers["pgtape.attempts"], "3");
    assert_eq!(dead.headers["pgtape.topic"], "outbox.event.order");
    assert!(dead.headers["pgtape.reason"].contains("refused"));
    assert_eq!(dead.place, (Position::at(Lsn(16), 0), 1));
    world.settle();
    assert_eq!((world.table["1"].status.as_str(), world.table["1"].attempts), ("dead", 3));
    assert!(world.notes.is_empty());
}

#[test]
fn a_dead_letter_that_does_not_fit_goes_without_its_payload() {
    let mut world = World::judged(MARKED, |record, _| record.value.is_none());
    world.insert(1, "a", 0);
    world.settle();
    assert_eq!((world.said().as_str(), world.log[0].value.as_deref()), ("!1", None));
}

#[test]
fn without_a_place_for_dead_letters_the_row_waits() {
    let mut world = World::judged(MARKED, |record, offered| record.topic == "outbox.dead_letter" && offered > 2);
    world.insert(1, "a", 0);
    world.insert(2, "a", 3600);
    world.read();
    for _ in 0..3 {
        world.tick(4);
    }
    world.kafka_commit();
    let parked = world.status().parked();
    let error = parked[0].last_error.clone().unwrap();
    assert!(world.said().is_empty() && error.contains("outbox.dead_letter"), "{error}");
    world.tick(60);
    world.kafka_commit();
    assert_eq!(world.said(), "!1");
}

#[test]
fn our_marks_and_other_updates_emit_nothing() {
    let mut world = World::new(MARKED);
    world.insert(1, "a", 0);
    // Before the mark is written the application touches the row: that is no retry.
    world.update("1", |row| row.headers = "{\"late\": true}".into());
    world.settle();
    world.update("1", |row| row.headers = "{}".into());
    world.settle();
    world.delete("1");
    world.settle();
    assert_eq!(world.said(), "1");
}

#[test]
fn an_operator_retries_by_command_or_by_hand() {
    let mut world = World::new(MARKED);
    world.insert(1, "a", 0);
    world.settle();
    world.retry("1", false);
    world.settle();
    assert_eq!(world.said(), "1 1");
    assert_eq!(world.log[1].place.0.lsn, Lsn(48), "at the place of the retry");
    world.update("1", |row| (row.delivered, row.status, row.attempts) = (false, "pending".into(), 0));
    world.settle();
    assert_eq!(world.said(), "1 1 1");
    // Its payload is out of line: it is read from the table, and holds back the aggregate meanwhile.
    world.retry("1", true);
    world.insert(2, "a", 0);
    while world.read() {}
    world.tick(0);
    world.kafka_commit();
    assert_eq!(world.said(), "1 1 1");
    world.crash();
    world.settle();
    assert_eq!(world.said(), "1 1 1 1 2");
    assert!(world.notes.is_empty() && world.table.values().all(|row| row.delivered));
}

#[test]
fn a_retry_of_what_is_delivered_but_not_marked_yet_is_none() {
    let mut world = World::new(MARKED);
    world.insert(1, "a", 0);
    world.read();
    world.kafka_commit();
    world.retry("1", false);
    world.settle();
    assert_eq!(world.said(), "1");
}

#[test]
fn a_retry_of_a_row_that_waits_is_now() {
    let mut world = World::judged(MARKED, |_, offered| offered > 1);
    world.insert(1, "a", 0);
    world.read();
    assert_eq!(world.tick(0), Some(1));
    world.retry("1", false);
    world.read();
    world.tick(0);
    world.kafka_commit();
    assert_eq!(world.said(), "1");
}

#[test]
fn a_row_that_waits_may_be_changed_deleted_or_given_up() {
    let mut world = World::new(MARKED);
    for id in 1..=4 {
        world.insert(id, "a", 100);
    }
    world.update("1", |row| (row.payload, row.available_s) = (Some("new".into()), row.available_s + 100));
    world.delete("2");
    world.update("3", |row| row.delivered = true);
    while world.read() {}
    world.tick(150);
    world.kafka_commit();
    assert_eq!(world.said(), "", "the first one holds back the last");
    world.settle();
    assert_eq!((world.said().as_str(), world.log[0].value.as_deref()), ("1 4", Some("new")));
    world.insert(5, "a", 100);
    world.truncate();
    world.settle();
    assert!(world.notes.is_empty() && world.said() == "1 4");
}

#[test]
fn a_copy_brings_what_neither_notes_nor_marks_know() {
    for kind in [tape::Kind::Copy, tape::Kind::Refresh] {
        let mut world = World::new(MARKED);
        world.insert(1, "a", 0);
        world.insert(2, "a", 50);
        world.settle();
        world.insert(3, "a", 0);
        world.insert(4, "a", 50);
        world.insert(5, "b", 50);
        while world.read() {}
        world.kafka_commit();
        // Delivered and not marked; waiting; and gone from the table without a word.
        world.table.remove("5");
        for id in ["10", "9"] {
            let row = Row { id: id.into(), payload: Some(id.into()), ..world.table["3"].clone() };
            world.table.insert(id.into(), row);
        }
        world.copy(kind);
        world.settle();
        assert_eq!(world.said(), "1 2 3 4 9 10", "{kind:?}");
        assert!(world.notes.is_empty());
    }
}

#[test]
fn a_table_without_marks_is_delivered_with_the_commit() {
    let mut world = World::judged(PLAIN, |_, offered| offered > 1);
    world.insert(1, "a", 0);
    world.delete("1");
    while world.read() {}
    world.kafka_commit();
    assert_eq!(
        (world.said().as_str(), world.notes.len()),
        ("", 1),
        "it failed, and was deleted, and waits all the same"
    );
    world.crash();
    world.settle();
    assert_eq!((world.said().as_str(), world.notes.len()), ("1", 0));
    world.insert(2, "a", 0);
    world.settle();
    world.copy(tape::Kind::Refresh);
    world.settle();
    assert_eq!(world.said(), "1 2", "a refresh brings nothing new");
    world.retry("2", false);
    world.settle();
    assert_eq!(world.said(), "1 2 2");
}

#[test]
fn what_does_not_fit_in_memory_is_read_when_it_is_due() {
    let mut world = World::new(&MARKED.replace("attempts_max = 3", "attempts_max = 3\nparked_max = '1 MiB'"));
    for id in 1..=3 {
        world.insert(id, "a", 10);
        let row = Row { payload: Some("x".repeat(600 << 10)), id: (10 + id).to_string(), ..world.table["1"].clone() };
        world.insert_row(row);
    }
    while world.read() {}
    world.kafka_commit();
    world.settle();
    assert_eq!(world.said(), "1 11 2 12 3 13");
    assert!(world.log.iter().all(|sent| sent.value.is_some()));
}

#[test]
fn more_rows_than_memory_stop_the_sink() {
    let mut world = World::new(&MARKED.replace("attempts_max = 3", "attempts_max = 3\nparked_max = '1 MiB'"));
    for id in 1..=4_000 {
        world.insert(id, "a", 10);
    }
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| while world.read() {}));
    assert!(stopped.is_err());
}

#[test]
fn marks_that_nobody_writes_close_the_gate() {
    let mut world = World::new(&MARKED.replace("attempts_max = 3", "attempts_max = 3\nunmarked_max = '64 KiB'"));
    for id in 1..=1_000 {
        world.insert(id, "a", 0);
    }
    while world.read() {}
    world.tick(0);
    assert!(world.status().has_room(), "nothing is committed");
    world.kafka_commit();
    assert!(!world.status().has_room());
    assert_eq!(world.status().marker().unmarked, 1_000);
    while world.mark() > 0 {}
    assert!(world.status().has_room());
}

/// What docs/OUTBOX.md shows is what is read.
#[test]
fn the_document_shows_every_key() {
    const DOCUMENT: &str = include_str!("../../../../../docs/OUTBOX.md");
    let shown = DOCUMENT.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown: toml::Value = toml::from_str(shown).unwrap();
    let shown = shown["kafka"][0]["outbox"].clone();
    let raw: RawKafkaOutbox = shown.clone().try_into().unwrap();
    assert!(raw.check("kafka.outbox", None).unwrap().columns.marked());
    let known = toml::Value::try_from(RawKafkaOutbox::default()).unwrap();
    let keys =
        |value: &toml::Value| value.as_table().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(keys(&shown), keys(&known));
    assert_eq!(keys(&shown["columns"]), keys(&known["columns"]));
}
