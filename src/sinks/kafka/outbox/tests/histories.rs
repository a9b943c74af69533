//! Random histories with crashes: each event once, in its aggregate's order, never too early.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert { aggregate: u8, available_in_s: i64, refusals: u32, rows: u8 },
    Read,
    ReadInParts { part: usize, killed: bool },
    Commit,
    Tick(i64),
    Mark,
    Touch(u8),
    Retry { row: u8, unchanged: bool },
    Copy(bool),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, prop_oneof![3 => Just(0_i64), 1 => 1..20_i64], prop_oneof![4 => Just(0_u32), 1 => 1..5_u32], prop_oneof![3 => Just(1_u8), 1 => 2..6_u8])
            .prop_map(|(aggregate, available_in_s, refusals, rows)| Step::Insert { aggregate, available_in_s, refusals, rows }),
        3 => (0..5_usize, any::<bool>()).prop_map(|(part, killed)| Step::ReadInParts { part, killed }),
        8 => Just(Step::Read),
        5 => Just(Step::Commit),
        4 => (0..10_i64).prop_map(Step::Tick),
        3 => Just(Step::Mark),
        1 => any::<u8>().prop_map(Step::Touch),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(row, unchanged)| Step::Retry { row, unchanged }),
        1 => any::<bool>().prop_map(Step::Copy),
        3 => Just(Step::Crash),
    ]
}

/// What is expected: by row, how often it may have been said, and not before when.
#[derive(Default)]
struct Expected {
    available_s: BTreeMap<String, i64>,
    retries: BTreeMap<String, usize>,
}

fn run(settings: &str, steps: &[Step]) {
    // The number of refusals stands in the payload.
    let judge = |record: &Produce<'_>, offered: u32| {
        let refusals = record.value.and_then(|v| std::str::from_utf8(v).ok()?.parse::<u32>().ok()).unwrap_or(0);
        record.topic == "outbox.dead_letter" || offered > refusals
    };
    let mut world = World::judged(settings, judge);
    let (mut expected, mut rows) = (Expected::default(), 0_u32);
    for step in steps {
        match step {
            Step::Insert { aggregate, available_in_s, refusals, rows: count } => {
                let row = |number: u8| Row {
                    id: (rows + 1 + u32::from(number)).to_string(),
                    aggregate: (aggregate + number % 2).to_string(),
                    payload: Some(refusals.to_string()),
                    headers: "{}".into(),
                    available_s: world.now_s + available_in_s,
                    status: "pending".into(),
                    ..Row::default()
                };
                let new: Vec<Row> = (0..*count).map(row).collect();
                rows += u32::from(*count);
                expected.available_s.extend(new.iter().map(|row| (row.id.clone(), row.available_s)));
                world.insert_rows(new);
            }
            Step::ReadInParts { part, killed } => drop(world.read_parts(Some(*part), *killed)),
            Step::Read => drop(world.read()),
            Step::Commit => world.kafka_commit(),
            Step::Tick(seconds) => drop(world.tick(*seconds)),
            Step::Mark => drop(world.mark()),
            Step::Touch(row) => {
                world.update(&(1 + u32::from(*row)).to_string(), |row| row.headers = "{\"t\": 1}".into())
            }
            Step::Retry { row, unchanged } => {
                let id = (1 + u32::from(*row) % rows.max(1)).to_string();
                *expected.retries.entry(id.clone()).or_default() += 1;
                world.retry(&id, *unchanged);
            }
            Step::Copy(first) if world.marked => {
                world.copy(if *first { tape::Kind::Copy } else { tape::Kind::Refresh });
            }
            Step::Copy(_) => world.copy(tape::Kind::Refresh),
            Step::Crash => world.crash(),
        }
    }
    world.settle();
    check(&world, &expected);
}

fn check(world: &World, expected: &Expected) {
    let said = world.said();
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for sent in &world.log {
        let times = times.entry(sent.id()).or_default();
        *times += 1;
        if world.marked {
            assert!(sent.at_us >= expected.available_s[sent.id()] * 1_000_000, "{} came too early: {said}", sent.id());
        }
        // What an operator repeats stands where it is repeated.
        if *times == 1 {
            let number: u32 = sent.id().parse().unwrap();
            let key = sent.key.as_deref().unwrap();
            let before = last.insert(key, number);
            assert!(before.is_none_or(|before| before < number), "{number} after {before:?} of {key}: {said}");
        }
    }
    for id in expected.available_s.keys() {
        let (times, retries) = (times.get(id.as_str()).copied().unwrap_or(0), expected.retries.get(id).copied());
        let most = 1 + retries.unwrap_or(0);
        assert!((1..=most).contains(&times), "{id} was said {times} times, {retries:?} retries: {said}");
    }
    assert!(world.notes.is_empty(), "notes are left: {:?}", world.notes.keys());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_event_is_said_once_in_order_and_never_too_early(steps in prop::collection::vec(step(), 1..120)) {
        run(MARKED, &steps);
    }

    #[test]
    fn so_it_is_without_marks(steps in prop::collection::vec(step(), 1..120)) {
        run(PLAIN, &steps);
    }
}
