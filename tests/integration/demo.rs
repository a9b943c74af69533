//! The demo as scripts run it.

use std::path::Path;
use std::process::Command;

use pgtape::sandbox::finish;
use serde_json::{Value, json};

const ENGINES: [&str; 5] = ["aether", "meltica", "openmatch", "perplex", "worker"];

#[cfg(feature = "kafka")]
#[test]
fn the_demo_reads_its_topics_back_from_a_broker_that_runs_already() {
    let broker = crate::kafka::any_broker();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtape"));
    command.args(["demo", "--seconds", "10", "--rate", "20", "--json", &format!("--kafka={}", broker.bootstrap())]);
    let finished = finish(command).unwrap();
    let (said, kafka) = (format!("{}{}", finished.stderr, finished.stdout), &finished.json()["kafka"]);
    assert_eq!(finished.code, Some(0), "{said}");
    assert!(kafka["records"].as_u64() > Some(0), "{said}");
    let found = (&kafka["duplicates"], &kafka["missing"], &kafka["keys_equal"]);
    assert_eq!(found, (&json!(0), &json!(0), &json!(true)), "{said}");
}

#[cfg(feature = "kafka")]
#[test]
fn a_private_kafka_broker_wants_jars_and_one_that_runs_does_not() {
    let nowhere = tempfile::tempdir().unwrap();
    let demo = |kafka: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgtape"));
        command.args(["demo", "--seconds", "10", kafka, "--kafka-jars"]).arg(nowhere.path());
        finish(command).unwrap()
    };
    let private = demo("--kafka");
    assert_eq!(private.code, Some(4), "{}", private.stderr);
    // Nobody listens on the port of discarding.
    let running = demo("--kafka=127.0.0.1:9");
    assert_eq!(running.code, Some(3), "{}", running.stderr);
    assert!(running.stderr.contains("no broker answers at 127.0.0.1:9"), "{}", running.stderr);
}

#[test]
fn the_demo_kills_everything_and_proves_that_nothing_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtape"));
    command.args(["demo", "--seconds", "15", "--rate", "20", "--json", "--data-dir"]).arg(&data_dir);
    let finished = finish(command).unwrap();
    let report = finished.json();
    let said = format!("{}{}", finished.stderr, finished.stdout);
    assert_eq!((finished.code, &report["ok"]), (Some(0), &Value::Bool(true)), "{said}");
    assert_eq!(report["kills"], json!({"service": 2, "engine": 1, "postgres": 1}));
    assert_eq!(report["verify"]["ok"], true, "{said}");
    assert!(report["tape"]["transactions"].as_u64() > Some(0), "{said}");
    assert!(report["tape"]["bytes"].as_u64() > Some(0), "{said}");
    let engines = report["engines"].as_object().unwrap();
    assert_eq!(engines.keys().collect::<Vec<_>>(), ENGINES);
    for (name, engine) in engines {
        assert!(engine["commits"].as_u64() > Some(0), "{name}: {said}");
        assert_eq!(engine["acknowledged_missing"], 0, "{name}: {said}");
    }
    assert!(Path::new(&data_dir).is_dir(), "the data directory that was named stays");
}
