//! docs/OPERATIONS.md names everything an operator may meet: exit codes, alarms, metrics, checks of the doctor.

use pgtape::refusal::Kind;

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// The words in the source that stand in quotes directly after `before`.
fn quoted<'a>(source: &'a str, before: &str) -> Vec<&'a str> {
    let words = source.split(before).skip(1);
    words.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

fn check(words: &[&str], least: usize) {
    assert!(words.len() >= least, "only {words:?} were found in the source");
    for word in words {
        let named = [format!("`{word}`"), format!("`{word}{{")].iter().any(|form| OPERATIONS.contains(form));
        assert!(named, "docs/OPERATIONS.md does not name {word}");
    }
}

#[test]
fn every_exit_code_is_documented() {
    for code in 1..=9_u8 {
        let kinds = [
            Kind::Finding,
            Kind::Usage,
            Kind::Unreachable,
            Kind::Server,
            Kind::Slot,
            Kind::Tape,
            Kind::Disk,
            Kind::Locked,
            Kind::NotConfirmed,
        ];
        let kind = kinds.into_iter().find(|kind| kind.exit_code() == code).unwrap();
        assert!(OPERATIONS.contains(&format!("| {code} | `{}` |", kind.code())), "{code}");
    }
}

#[test]
fn every_alarm_metric_and_check_is_documented() {
    check(&quoted(include_str!("../../src/run/assemble.rs"), "raise("), 10);
    check(&quoted(include_str!("../../src/metrics.rs"), "Name("), 23);
    let doctor = [
        include_str!("../../src/ops/doctor/server.rs"),
        include_str!("../../src/ops/doctor/tables.rs"),
        include_str!("../../src/ops/doctor/publication.rs"),
        include_str!("../../src/ops/doctor/data.rs"),
        include_str!("../../src/sinks/kafka/relay/probe.rs"),
    ];
    let checks = |before| doctor.iter().flat_map(|s| quoted(s, before)).collect::<Vec<_>>();
    check(&["Check::ok(", "Check::advice(", "Check::finding(", "NAME: &str ="].map(checks).concat(), 10);
}
