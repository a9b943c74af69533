//! What the tape promises, one sentence a test.

use bytes::Bytes;

use super::*;
use crate::refusal;

const LONG: &[u8] = &[b'x'; 500];

#[test]
fn what_is_synced_is_read_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, recovered) = open(dir.path());
    assert_eq!((recovered.end, recovered.origin), (Lsn::ZERO, None));
    let watermark = writer.watermark();
    unit(&mut writer, Kind::Stream, 10, &[b"I1", b"", b"I2"]);
    unit(&mut writer, Kind::Message, 20, &[b"M"]);
    assert_eq!(read(dir.path(), 0, &watermark).unwrap(), []);
    assert_eq!(writer.sync().unwrap().lsn(), Lsn(20));
    unit(&mut writer, Kind::Stream, 30, &[b"I3"]);
    let mut reader = Reader::open(dir.path(), Position::ZERO, watermark.clone()).unwrap();
    let want = [seen(Kind::Stream, 10, &[b"I1", b"", b"I2"]), seen(Kind::Message, 20, &[b"M"])];
    assert_eq!(drain(&mut reader).unwrap(), want);
    writer.progress(Lsn(35)).unwrap();
    writer.progress(Lsn(34)).unwrap();
    assert_eq!(writer.sync().unwrap().lsn(), Lsn(35));
    assert_eq!(drain(&mut reader).unwrap(), [seen(Kind::Stream, 30, &[b"I3"]), Seen::Progress(Lsn(35))]);
    assert_eq!(read(dir.path(), 20, &watermark).unwrap().len(), 2);
    assert_eq!(watermark.lsn(), Lsn(35));
}

#[test]
fn a_sync_within_a_unit_leaves_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I1"]);
    for (lsn, messages) in [(20, 3), (30, 9)] {
        writer.begin(begin(Kind::Stream, lsn - 1)).unwrap();
        for _message in 0..messages {
            writer.push(Lsn(lsn - 1), LONG).unwrap();
            writer.progress(Lsn(1000)).unwrap();
            assert_eq!(writer.sync().unwrap().lsn(), Lsn(lsn - 10));
        }
        writer.commit(Lsn(lsn - 1), Lsn(lsn)).unwrap();
        assert_eq!(writer.sync().unwrap().lsn(), Lsn(lsn));
    }
    let want =
        [seen(Kind::Stream, 10, &[b"I1"]), seen(Kind::Stream, 20, &[LONG; 3]), seen(Kind::Stream, 30, &[LONG; 9])];
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap(), want);
}

#[test]
fn a_large_unit_may_be_left_unread() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[LONG; 20]);
    unit(&mut writer, Kind::Stream, 20, &[b"I"]);
    writer.sync().unwrap();
    let mut reader = Reader::open(dir.path(), Position::ZERO, writer.watermark()).unwrap();
    let Some(Entry::Transaction(mut first)) = reader.next().unwrap() else { panic!("no unit") };
    assert_eq!(first.next_message().unwrap(), Some((Lsn(9), LONG)));
    assert_eq!(drain(&mut reader).unwrap(), [seen(Kind::Stream, 20, &[b"I"])]);
}

#[test]
fn an_abandoned_unit_is_never_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    for messages in [1, 20] {
        writer.begin(begin(Kind::Stream, 9)).unwrap();
        (0..messages).for_each(|_| writer.push(Lsn(9), LONG).unwrap());
        writer.abandon().unwrap();
    }
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    writer.sync().unwrap();
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap(), [seen(Kind::Stream, 10, &[b"I"])]);
}

#[test]
fn a_reader_that_starts_anywhere_gets_the_relations_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"R1", b"I"]);
    unit(&mut writer, Kind::Stream, 20, &[b"I"]);
    writer.begin(begin(Kind::Stream, 29)).unwrap();
    writer.push(Lsn(29), b"Y2").unwrap();
    (0..20).for_each(|_| writer.push(Lsn(29), LONG).unwrap());
    writer.push(Lsn(29), b"R2").unwrap();
    writer.commit(Lsn(29), Lsn(30)).unwrap();
    unit(&mut writer, Kind::Stream, 40, &[b"I"]);
    writer.sync().unwrap();
    let from = |lsn| read(dir.path(), lsn, &writer.watermark()).unwrap();
    let preamble = |messages: &[&[u8]]| Seen::Preamble(messages.iter().map(|m| m.to_vec()).collect());
    assert_eq!(from(30), [preamble(&[b"R1", b"Y2", b"R2"]), seen(Kind::Stream, 40, &[b"I"])]);
    assert_eq!(from(10)[..2], [preamble(&[b"R1"]), seen(Kind::Stream, 20, &[b"I"])]);
    assert_eq!(from(0)[0], seen(Kind::Stream, 10, &[b"R1", b"I"]));
    let mut writer = writer;
    writer.roll(&[Bytes::from_static(b"R9")]).unwrap();
    unit(&mut writer, Kind::Stream, 50, &[b"I"]);
    writer.sync().unwrap();
    let follow = [preamble(&[b"R9"]), seen(Kind::Stream, 50, &[b"I"])];
    assert_eq!(read(dir.path(), 40, &writer.watermark()).unwrap(), follow);
    assert_eq!(read(dir.path(), 20, &writer.watermark()).unwrap()[3..], follow);
}

#[test]
fn segments_roll_at_commit_boundaries_and_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    let mut reader = Reader::open(dir.path(), Position::ZERO, writer.watermark()).unwrap();
    let (mut want, mut got) = (Vec::new(), Vec::new());
    let noise: Vec<Vec<u8>> =
        (0..60u64).map(|n| (0..400).map(|i: u64| (n * i * i % 251).to_le_bytes()[0]).collect()).collect();
    for (n, message) in noise.iter().enumerate() {
        let lsn = 10 + 10 * u64::try_from(n).unwrap();
        writer.begin(begin(Kind::Stream, lsn - 1)).unwrap();
        assert!(!writer.roll_due());
        writer.push(Lsn(lsn - 1), message).unwrap();
        writer.commit(Lsn(lsn - 1), Lsn(lsn)).unwrap();
        if writer.roll_due() {
            writer.roll(&[]).unwrap();
        }
        writer.sync().unwrap();
        want.push(seen(Kind::Stream, lsn, &[message]));
        got.append(&mut drain(&mut reader).unwrap());
    }
    assert_eq!(got, want);
    assert!(disk::segments(dir.path()).unwrap().len() > 3);
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap(), want);
    assert_eq!(read(dir.path(), 300, &writer.watermark()).unwrap(), want[30..]);
    drop(writer);
    let (writer, recovered) = open(dir.path());
    assert_eq!((recovered.end, recovered.origin), (Lsn(600), Some(origin())));
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap(), want);
    drop(writer);
    std::fs::remove_file(disk::segment_path(dir.path(), 2)).unwrap();
    let refusal = refusal(Writer::open(dir.path(), options(), origin(), &Proof::NONE));
    assert!(refusal.what.contains("between 1 and 3 are missing"), "{refusal}");
}

#[test]
fn a_unit_cut_short_is_abandoned_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    let mut reader = Reader::open(dir.path(), Position::ZERO, writer.watermark()).unwrap();
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    writer.begin(begin(Kind::Stream, 19)).unwrap();
    (0..20).for_each(|_| writer.push(Lsn(19), LONG).unwrap());
    writer.sync().unwrap();
    assert_eq!(drain(&mut reader).unwrap().len(), 1);
    let watermark = writer.watermark();
    drop(writer);
    let options = Options { watermark: Some(watermark), ..options() };
    let (mut writer, recovered) = Writer::open(dir.path(), options, origin(), &Proof::NONE).unwrap();
    assert_eq!(recovered.unfinished, Some(begin(Kind::Stream, 19)));
    unit(&mut writer, Kind::Stream, 20, &[b"J"]);
    writer.sync().unwrap();
    assert_eq!(drain(&mut reader).unwrap(), [seen(Kind::Stream, 20, &[b"J"])]);
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap().len(), 2);
}

#[test]
fn a_copy_counts_at_its_end_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    let watermark = writer.watermark();
    let mut reader = Reader::open(dir.path(), Position::ZERO, watermark.clone()).unwrap();
    let intent = Intent { slot: "pgtape".into(), epoch: 1, tables: vec!["a.b".into()] };
    writer.intent(intent.clone()).unwrap();
    writer.sync().unwrap();
    writer.begin(begin(Kind::Copy, 100)).unwrap();
    (0..20).for_each(|_| writer.push(Lsn::ZERO, LONG).unwrap());
    writer.abandon().unwrap();
    writer.intent(intent.clone()).unwrap();
    writer.begin(begin(Kind::Copy, 100)).unwrap();
    (0..20).for_each(|_| writer.push(Lsn::ZERO, LONG).unwrap());
    writer.progress(Lsn(5000)).unwrap();
    assert_eq!(writer.sync().unwrap().lsn(), Lsn::ZERO);
    assert_eq!(drain(&mut reader).unwrap(), []);
    drop(writer);
    let again = Options { watermark: Some(watermark), ..options() };
    let (mut writer, recovered) = Writer::open(dir.path(), again, origin(), &Proof::NONE).unwrap();
    assert_eq!((recovered.copy_pending, recovered.epoch), (Some(intent.clone()), 0));
    writer.intent(intent).unwrap();
    writer.begin(begin(Kind::Copy, 99)).unwrap();
    (0..9).for_each(|_| writer.push(Lsn(99), LONG).unwrap());
    writer.commit(Lsn(99), Lsn(100)).unwrap();
    unit(&mut writer, Kind::Stream, 110, &[b"I"]);
    writer.sync().unwrap();
    let want = [seen(Kind::Copy, 100, &[LONG; 9]), seen(Kind::Stream, 110, &[b"I"])];
    assert_eq!(drain(&mut reader).unwrap(), want);
    assert_eq!(read(dir.path(), 0, &writer.watermark()).unwrap(), want);
    drop(writer);
    let (_writer, recovered) = open(dir.path());
    assert_eq!((recovered.epoch, recovered.copy_point, recovered.copy_pending), (1, Lsn(100), None));
}

#[test]
fn a_follower_goes_on_where_a_copy_was_cut_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    let intent = Intent { slot: "pgtape".into(), epoch: 1, tables: vec!["a.b".into()] };
    let copy = |writer: &mut Writer, rows: usize| {
        writer.intent(intent.clone()).unwrap();
        writer.begin(begin(Kind::Copy, 100)).unwrap();
        (0..rows).for_each(|_| writer.push(Lsn(99), LONG).unwrap());
        writer.sync().unwrap();
    };
    copy(&mut writer, 20);
    let mut follower = Follower::start(dir.path()).unwrap();
    let mut reader = Reader::open(dir.path(), Position::ZERO, follower.watermark()).unwrap();
    assert_eq!(drain(&mut reader).unwrap(), [seen(Kind::Stream, 10, &[b"I"])]);
    drop(writer);
    let (mut writer, _) = open(dir.path());
    copy(&mut writer, 30);
    follower.look().unwrap();
    assert_eq!(drain(&mut reader).unwrap(), []);
    writer.commit(Lsn(99), Lsn(100)).unwrap();
    writer.sync().unwrap();
    follower.look().unwrap();
    assert_eq!(drain(&mut reader).unwrap(), [seen(Kind::Copy, 100, &[LONG; 30])]);
    for lsn in (110..400).step_by(10) {
        unit(&mut writer, Kind::Stream, lsn, &[LONG]);
        writer.sync().unwrap();
        if writer.roll_due() {
            writer.roll(&[]).unwrap();
        }
    }
    follower.look().unwrap();
    assert_eq!(drain(&mut reader).unwrap().into_iter().filter(|s| matches!(s, Seen::Unit(..))).count(), 29);
}

#[test]
fn a_refresh_and_an_empty_copy_are_units_with_their_tables() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    writer.intent(Intent { slot: "s".into(), epoch: 1, tables: vec!["a.b".into()] }).unwrap();
    unit(&mut writer, Kind::Copy, 10, &[]);
    unit(&mut writer, Kind::Refresh, 20, &[b"I"]);
    unit(&mut writer, Kind::Refresh, 30, &[]);
    writer.gap(Lsn(40), "the slot was lost").unwrap();
    writer.sync().unwrap();
    let mut reader = Reader::open(dir.path(), Position::ZERO, writer.watermark()).unwrap();
    let Some(Entry::Transaction(copy)) = reader.next().unwrap() else { panic!("no copy") };
    assert_eq!((copy.head().epoch, &copy.head().tables[..]), (1, &["a.b".to_owned()][..]));
    let want = [seen(Kind::Refresh, 20, &[b"I"]), seen(Kind::Refresh, 30, &[]), Seen::Gap(Lsn(30), Lsn(40))];
    assert_eq!(drain(&mut reader).unwrap(), want);
    assert_eq!(read(dir.path(), 10, &writer.watermark()).unwrap(), want);
    drop(writer);
    assert_eq!(open(dir.path()).1.end, Lsn(40));
    assert_eq!(crate::tape::verify(dir.path()).unwrap().gaps, 1);
}

#[test]
fn positions_outside_the_tape_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    writer.roll(&[]).unwrap();
    unit(&mut writer, Kind::Stream, 20, &[b"I"]);
    writer.sync().unwrap();
    let outside = |lsn| matches!(read(dir.path(), lsn, &writer.watermark()), Err(Error::Outside { .. }));
    assert!(outside(21) && !outside(20) && !outside(0));
    std::fs::remove_file(disk::segment_path(dir.path(), 1)).unwrap();
    assert!(outside(9) && !outside(10));
}

#[test]
fn a_commit_cannot_go_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    writer.begin(begin(Kind::Stream, 9)).unwrap();
    assert!(matches!(writer.commit(Lsn(9), Lsn(10)), Err(Error::Refused(_))));
}

#[test]
fn another_servers_tape_and_a_second_writer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _) = open(dir.path());
    let locked = refusal(Writer::open(dir.path(), options(), origin(), &Proof::NONE));
    assert_eq!(locked.kind, refusal::Kind::Locked);
    drop(writer);
    let other = Origin { system_id: 8, ..origin() };
    let refused = refusal(Writer::open(dir.path(), options(), other, &Proof::NONE));
    assert_eq!(refused.kind, refusal::Kind::Tape);
    let promoted = Origin { timeline: 2, ..origin() };
    let (writer, recovered) = Writer::open(dir.path(), options(), promoted, &Proof::NONE).unwrap();
    assert_eq!(recovered.origin, Some(origin()));
    assert_eq!(writer.watermark().get().segment, 2);
}

#[test]
fn a_new_origin_begins_a_segment_that_repeats_what_is_known_of_tables() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"R1", b"@1", b"I"]);
    unit(&mut writer, Kind::Refresh, 20, &[b"R2", b"R1"]);
    writer.begin(begin(Kind::Stream, 29)).unwrap();
    writer.push(Lsn(29), b"R3").unwrap();
    (0..9).for_each(|_| writer.push(Lsn(29), LONG).unwrap());
    writer.sync().unwrap();
    drop(writer);
    let promoted = Origin { timeline: 2, ..origin() };
    let (writer, recovered) = Writer::open(dir.path(), options(), promoted, &Proof::NONE).unwrap();
    assert_eq!(recovered.schema, ["@1", "R2", "R1"]);
    drop(writer);
    let promoted = Origin { timeline: 3, ..origin() };
    let (mut writer, recovered) = Writer::open(dir.path(), options(), promoted, &Proof::NONE).unwrap();
    assert_eq!(recovered.schema, ["@1", "R2", "R1"]);
    unit(&mut writer, Kind::Stream, 30, &[b"I"]);
    writer.sync().unwrap();
    let said = Seen::Preamble(vec![b"@1".to_vec(), b"R2".to_vec(), b"R1".to_vec()]);
    assert_eq!(read(dir.path(), 20, &writer.watermark()).unwrap(), [said, seen(Kind::Stream, 30, &[b"I"])]);
}

#[test]
fn what_is_proven_elsewhere_must_be_on_the_tape() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    writer.close().unwrap();
    let cursors = |lsn| Proof { confirmed: Lsn(10), cursors: vec![("standby".into(), Lsn(lsn))] };
    let refused = refusal(Writer::open(dir.path(), options(), origin(), &cursors(11)));
    assert!(refused.what.contains("consumer 'standby' is already at 0/B"), "{refused}");
    drop(Writer::open(dir.path(), options(), origin(), &cursors(10)).unwrap());
    std::fs::remove_file(disk::segment_path(dir.path(), 1)).unwrap();
    refusal(Writer::open(dir.path(), options(), origin(), &Proof::NONE));
}

#[test]
fn the_documents_example_is_what_a_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { new_tape: TapeId(*b"sixteen-byte-id!"), ..options() };
    let (mut writer, _) = Writer::open(dir.path(), options, origin(), &Proof::NONE).unwrap();
    unit(&mut writer, Kind::Stream, 0x16B_3748, &[b"Row", b"next"]);
    writer.sync().unwrap();
    let bytes = std::fs::read(disk::segment_path(dir.path(), 1)).unwrap();
    let dump: String = bytes
        .chunks(16)
        .enumerate()
        .map(|(n, row)| {
            let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:04x}  {}\n", n * 16, hex.join(" "))
        })
        .collect();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TAPE_FORMAT.md")).unwrap();
    assert!(document.contains(&dump), "docs/TAPE_FORMAT.md should show\n{dump}");
}
