//! Crashes at any byte, lost pages, flipped bits: recovery gives exactly a prefix that holds everything synced, or
//! refuses. Proptest prints the seed of a failure.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// What the random writer does.
#[derive(Debug, Clone)]
enum Op {
    Unit(Vec<u16>),
    Abandoned(Vec<u16>),
    Refresh(Vec<u16>),
    Progress,
    Sync,
    Roll,
}

fn op() -> impl Strategy<Value = Op> {
    let lengths = || prop::collection::vec(0u16..700, 0..6);
    prop_oneof![
        5 => lengths().prop_map(Op::Unit),
        1 => lengths().prop_map(Op::Abandoned),
        1 => lengths().prop_map(Op::Refresh),
        1 => Just(Op::Progress),
        2 => Just(Op::Sync),
        1 => Just(Op::Roll),
    ]
}

/// What happens to the newest segment's file.
#[derive(Debug, Clone)]
enum Harm {
    /// It ends here (per mille of what was not synced).
    Truncate(u16),
    /// Its tail is zeros from here on.
    ZeroTail(u16),
    /// Pages that were not synced are lost in any order: one bit a page.
    LosePages(u64),
    /// A bit flips anywhere.
    Flip(u32),
    /// A bit flips among the last bytes that were synced.
    FlipLast(u16),
    /// Zeros are appended.
    Grow(u16),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (0u16..=1000).prop_map(Harm::Truncate),
        (0u16..=1000).prop_map(Harm::ZeroTail),
        any::<u64>().prop_map(Harm::LosePages),
        any::<u32>().prop_map(Harm::Flip),
        (0u16..1000).prop_map(Harm::FlipLast),
        (1u16..9000).prop_map(Harm::Grow),
    ]
}

/// A tape, and the model of it.
struct Model {
    writer: Writer,
    appended: Vec<Seen>,
    synced: usize,
    lsn: u64,
}

impl Model {
    fn new(dir: &Path) -> Self {
        Self { writer: open(dir).0, appended: Vec::new(), synced: 0, lsn: 0 }
    }

    /// Pushes messages of these lengths and returns them.
    fn push(&mut self, kind: Kind, lengths: &[u16]) -> Vec<(u64, Vec<u8>)> {
        self.lsn += 10;
        self.writer.begin(begin(kind, self.lsn - 1)).unwrap();
        let message = |length: &u16| (0..*length).map(|i| (u64::from(i) * self.lsn % 251).to_le_bytes()[0]).collect();
        let messages: Vec<Vec<u8>> = lengths.iter().map(message).collect();
        messages.iter().for_each(|message| self.writer.push(Lsn(self.lsn - 1), message).unwrap());
        messages.into_iter().map(|message| (self.lsn - 1, message)).collect()
    }

    fn unit(&mut self, kind: Kind, lengths: &[u16]) {
        let messages = self.push(kind, lengths);
        self.writer.commit(Lsn(self.lsn - 1), Lsn(self.lsn)).unwrap();
        self.appended.push(Seen::Unit(kind, Lsn(self.lsn), messages));
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Unit(lengths) => self.unit(Kind::Stream, lengths),
            Op::Refresh(lengths) => self.unit(Kind::Refresh, lengths),
            Op::Abandoned(lengths) => {
                self.push(Kind::Stream, lengths);
                self.writer.abandon().unwrap();
            }
            Op::Progress => {
                self.lsn += 10;
                self.writer.progress(Lsn(self.lsn)).unwrap();
            }
            Op::Sync => {
                self.writer.sync().unwrap();
                self.synced = self.appended.len();
            }
            Op::Roll => {
                self.writer.roll(&[]).unwrap();
                self.synced = self.appended.len();
            }
        }
    }
}

/// The units among what was seen.
fn units(seen: Vec<Seen>) -> Vec<Seen> {
    seen.into_iter().filter(|seen| matches!(seen, Seen::Unit(..))).collect()
}

/// Does the harm; returns whether it may touch bytes that were synced.
fn harm_file(path: &PathBuf, synced: usize, harm: &Harm) -> bool {
    const PAGE_BYTES: usize = 64;
    let mut bytes = std::fs::read(path).unwrap();
    let place = |per_mille: u16| synced + (bytes.len() - synced) * usize::from(per_mille) / 1000;
    match harm {
        Harm::Truncate(at) => bytes.truncate(place(*at)),
        Harm::ZeroTail(at) => {
            let at = place(*at);
            bytes[at..].fill(0);
        }
        Harm::LosePages(bits) => {
            for (n, page) in bytes[synced..].chunks_mut(PAGE_BYTES).enumerate() {
                if bits >> (n % 64) & 1 == 1 {
                    page.fill(0);
                }
            }
        }
        Harm::Flip(at) => {
            let at = usize::try_from(*at).unwrap() % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
        }
        Harm::FlipLast(back) => {
            let at = synced * 8 - 1 - usize::from(*back);
            bytes[at / 8] ^= 1 << (at % 8);
        }
        Harm::Grow(by) => bytes.resize(bytes.len() + usize::from(*by), 0),
    }
    std::fs::write(path, bytes).unwrap();
    matches!(harm, Harm::Flip(_) | Harm::FlipLast(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn recovery_gives_a_prefix_with_everything_synced_or_refuses(
        ops in prop::collection::vec(op(), 0..40),
        harm in harm(),
        within in prop::option::of(prop::collection::vec(0u16..700, 0..6)),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::new(dir.path());
        ops.iter().for_each(|op| model.run(op));
        let durable = model.writer.watermark().get();
        // What was handed over reaches the file in any case: the harm decides what of it survives.
        model.writer.write_for_test();
        if let Some(lengths) = &within {
            model.push(Kind::Stream, lengths);
            model.writer.write_for_test();
        }
        let Model { writer, appended, synced, .. } = model;
        drop(writer);
        let path = disk::segment_path(dir.path(), durable.segment);
        let any = harm_file(&path, usize::try_from(durable.offset).unwrap(), &harm);
        let proof = Proof { confirmed: durable.lsn, cursors: Vec::new() };
        let (mut writer, recovered) = match Writer::open(dir.path(), options(), origin(), &proof) {
            Ok(opened) => opened,
            Err(Error::Refused(refusal)) => {
                prop_assert!(any, "refused without reason: {refusal}");
                prop_assert!(refusal.what.contains("damaged at offset"), "{refusal}");
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        prop_assert!(recovered.end >= durable.lsn);
        let found = units(read(dir.path(), 0, &writer.watermark()).unwrap());
        prop_assert!(found.len() >= synced, "{} of {synced} synced units", found.len());
        prop_assert_eq!(&found[..], &appended[..found.len()]);
        // And it goes on from there.
        let next = recovered.end.0 + 10;
        unit(&mut writer, Kind::Stream, next, &[b"next"]);
        writer.sync().unwrap();
        prop_assert_eq!(read(dir.path(), recovered.end.0, &writer.watermark()).unwrap(), [seen(Kind::Stream, next, &[b"next"])]);
        drop(writer);
        prop_assert_eq!(verify(dir.path()).unwrap().tail, None);
    }

    #[test]
    fn every_start_sees_the_same_units(ops in prop::collection::vec(op(), 0..30), from in 0u64..300) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::new(dir.path());
        let mut follower = Reader::open(dir.path(), Position::ZERO, model.writer.watermark()).unwrap();
        let mut followed = Vec::new();
        for op in &ops {
            model.run(op);
            followed.append(&mut units(drain(&mut follower).unwrap()));
            prop_assert_eq!(followed.len(), model.synced);
        }
        model.run(&Op::Sync);
        followed.append(&mut units(drain(&mut follower).unwrap()));
        prop_assert_eq!(&followed, &model.appended);
        let from = from.min(model.writer.end().0);
        let later: Vec<Seen> =
            followed.into_iter().filter(|s| matches!(s, Seen::Unit(_, lsn, _) if lsn.0 > from)).collect();
        prop_assert_eq!(units(read(dir.path(), from, &model.writer.watermark()).unwrap()), later);
    }

    #[test]
    fn random_files_are_refused_or_cut_and_never_panic(
        ops in prop::collection::vec(op(), 0..8),
        keep in 0usize..4000,
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::new(dir.path());
        ops.iter().for_each(|op| model.run(op));
        drop(model);
        let newest = *disk::segments(dir.path()).unwrap().last().unwrap();
        let path = disk::segment_path(dir.path(), newest);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(keep);
        bytes.extend_from_slice(&noise);
        std::fs::write(&path, bytes).unwrap();
        let _verified = verify(dir.path());
        if let Ok(watermark) = Watermark::scan(dir.path()) {
            read(dir.path(), 0, &watermark).unwrap();
        }
        let _opened = Writer::open(dir.path(), options(), origin(), &Proof::NONE);
    }
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    let durable = writer.sync().unwrap();
    let offset = writer.watermark().get().offset;
    drop(writer);
    let path = disk::segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"PGTF torn");
    std::fs::write(&path, &bytes).unwrap();
    let proof = Proof { confirmed: durable.lsn(), cursors: Vec::new() };
    let (_writer, recovered) = Writer::open(dir.path(), options(), origin(), &proof).unwrap();
    assert_eq!(recovered.end, Lsn(10));
    let kept = dir.path().join(format!("000000000001.tape.{offset}.broken"));
    assert_eq!(std::fs::read(kept).unwrap(), b"PGTF torn");
}

#[test]
fn damage_is_refused_where_a_later_frame_says_it_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    let first = usize::try_from(writer.watermark().get().offset).unwrap();
    writer.sync().unwrap();
    unit(&mut writer, Kind::Stream, 20, &[b"I"]);
    writer.sync().unwrap();
    drop(writer);
    let path = disk::segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[first + 80] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = refusal(Writer::open(dir.path(), options(), origin(), &Proof::NONE));
    assert!(refused.what.contains(&format!("000000000001.tape is damaged at offset {first}")), "{refused}");
    assert!(refused.what.contains("were synced"), "{refused}");
}

#[test]
fn damage_in_the_last_synced_frame_is_refused_where_the_slot_proves_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    let first = writer.watermark().get().offset;
    unit(&mut writer, Kind::Stream, 10, &[b"I"]);
    let durable = writer.sync().unwrap();
    drop(writer);
    let path = disk::segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let proof = Proof { confirmed: durable.lsn(), cursors: Vec::new() };
    let refused = refusal(Writer::open(dir.path(), options(), origin(), &proof));
    assert!(refused.what.contains(&format!("damaged at offset {first}: the checksum does not match")), "{refused}");
    assert!(refused.what.contains("below 0/A of the slot"), "{refused}");
}
