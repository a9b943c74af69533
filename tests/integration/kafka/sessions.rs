//! The sink through guarded doors: it comes in with what it was given, and says what is wrong when it is not let in.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pgtape::sandbox::{Door, Guard, KafkaOptions};

use super::broker;
use super::stage::{Stage, config};
use crate::common::seed;

/// The password in a file that only we may read.
fn password_file(directory: &Path, password: &str) -> PathBuf {
    let path = directory.join(format!("password-{}", password.len()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(password.as_bytes()).unwrap();
    path
}

/// `[kafka.security]` for a door.
fn security(guard: &Guard, door: Door, mechanism: &str, password: &Path) -> String {
    let certificates = &guard.certificates;
    let tls = format!("tls = true\nca_file = \"{}\"\n", certificates.ca.display());
    let (cert, key) = (certificates.client.display(), certificates.client_key.display());
    let mutual = format!("cert_file = \"{cert}\"\nkey_file = \"{key}\"\n");
    let sasl =
        format!("sasl = \"{mechanism}\"\nuser = \"{}\"\npassword_file = \"{}\"\n", guard.user, password.display());
    let lines = match door {
        Door::Plain | Door::Proxied => String::new(),
        Door::Tls => tls,
        Door::MutualTls => tls + &mutual,
        Door::Sasl => sasl,
        Door::SaslTls => tls + &sasl,
    };
    format!("[kafka.security]\n{lines}")
}

#[test]
fn the_sink_comes_in_through_every_door_and_a_wrong_password_is_told_but_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(&KafkaOptions { guarded: true, ..KafkaOptions::default() });
    let guard = broker.guard();
    let right = password_file(directory.path(), &guard.password);
    let mut stage = Stage::open(seed(), &config(&broker.bootstrap(), ""));
    let through = |stage: &mut Stage, door: Door, mechanism: &str, password: &Path| {
        let text = config(&broker.address(door), "") + &security(guard, door, mechanism, password);
        let service = stage.service.service().clone().config(&text).unwrap();
        stage.service.start_as(service).unwrap();
        stage.wait_ready();
    };
    let sasl = ["plain", "scram-sha-256", "scram-sha-512"];
    let doors = [(Door::Tls, ""), (Door::MutualTls, "")].into_iter();
    let doors = doors.chain(sasl.map(|mechanism| (Door::Sasl, mechanism)));
    for (door, mechanism) in doors.chain(sasl.map(|mechanism| (Door::SaslTls, mechanism))) {
        println!("{door:?} {mechanism}");
        through(&mut stage, door, mechanism, &right);
        stage.wait_produced();
    }
    let secret = "another-password-than-the-right-one";
    let wrong = password_file(directory.path(), secret);
    for mechanism in ["plain", "scram-sha-256"] {
        through(&mut stage, Door::SaslTls, mechanism, &wrong);
        stage.wait_until("it is refused", |stage| stage.trouble().to_lowercase().contains("authentication"));
        println!("{mechanism}: {}", stage.trouble());
    }
    let said = stage.service.log() + &stage.status().to_string();
    assert!(!said.contains(secret) && !said.contains(&guard.password), "{said}");
    through(&mut stage, Door::SaslTls, "plain", &right);
    stage.load();
    stage.wait_produced();
    stage.settle();
    stage.check(broker.tools());
}
