//! Guarded brokers let in who shows the right thing, and nobody else.

use std::process::Command;

use pgtape::sandbox::{Door, Guard, KafkaOptions, PrivateKafka};

use super::broker;

/// Settings of a client, as librdkafka calls them.
type Settings = Vec<(&'static str, String)>;

fn protocol(door: Door) -> Settings {
    vec![("security.protocol", door.protocol().to_owned())]
}

/// What a client of `door` must set; `mechanism` where it shows a password.
fn settings(guard: &Guard, door: Door, mechanism: &str) -> Settings {
    let path = |path: &std::path::Path| path.display().to_string();
    let certificates = &guard.certificates;
    let ca = ("ssl.ca.location", path(&certificates.ca));
    let password = [
        ("sasl.mechanism", mechanism.to_owned()),
        ("sasl.username", guard.user.clone()),
        ("sasl.password", guard.password.clone()),
    ];
    let own = [
        ("ssl.certificate.location", path(&certificates.client)),
        ("ssl.key.location", path(&certificates.client_key)),
    ];
    let mut all = protocol(door);
    match door {
        Door::Plain | Door::Proxied => {}
        Door::Tls => all.push(ca),
        Door::MutualTls => all.extend([ca].into_iter().chain(own)),
        Door::Sasl => all.extend(password),
        Door::SaslTls => all.extend([ca].into_iter().chain(password)),
    }
    all
}

/// With one setting changed.
fn but(mut settings: Settings, name: &str, value: impl ToString) -> Settings {
    let found = settings.iter_mut().find(|(known, _)| *known == name).unwrap();
    found.1 = value.to_string();
    settings
}

/// What is not let in by `door`.
fn wrong(guard: &Guard, door: Door, right: Settings) -> Settings {
    let certificates = &guard.certificates;
    match door {
        Door::Plain | Door::Proxied => panic!("everybody is let in by {door:?}"),
        Door::Tls => but(right, "ssl.ca.location", certificates.stranger_ca.display()),
        Door::MutualTls => {
            let one = but(right, "ssl.certificate.location", certificates.stranger.display());
            but(one, "ssl.key.location", certificates.stranger_key.display())
        }
        Door::Sasl | Door::SaslTls => but(right, "sasl.password", "another"),
    }
}

/// Whether `topic` can be seen with these settings.
fn sees(broker: &PrivateKafka, door: Door, settings: &Settings, topic: &str) -> bool {
    let mut command = Command::new("kcat");
    command.args(["-L", "-m", "5", "-b", &broker.address(door), "-t", topic]);
    for (name, value) in settings {
        command.args(["-X", &format!("{name}={value}")]);
    }
    let done = command.output().unwrap();
    done.status.success() && String::from_utf8_lossy(&done.stdout).contains("with 1 partitions")
}

#[test]
fn each_door_opens_to_who_shows_the_right_thing() {
    let broker = broker(&KafkaOptions { guarded: true, ..KafkaOptions::default() });
    broker.tools().create_topic("t", 1, &[]).unwrap();
    let guard = broker.guard();
    let passwords = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
    let sasl = [Door::Sasl, Door::SaslTls].into_iter().flat_map(|door| passwords.map(|mechanism| (door, mechanism)));
    // Side by side: who is refused tries again for seconds.
    std::thread::scope(|scope| {
        for (door, mechanism) in [(Door::Tls, ""), (Door::MutualTls, "")].into_iter().chain(sasl) {
            let (right, broker) = (settings(guard, door, mechanism), &broker);
            let wrong = wrong(guard, door, right.clone());
            scope.spawn(move || assert!(sees(broker, door, &right, "t"), "{door:?} {mechanism} is closed"));
            scope.spawn(move || assert!(!sees(broker, door, &wrong, "t"), "{door:?} {mechanism} is open"));
        }
        let none = settings(guard, Door::Tls, "");
        let broker = &broker;
        scope.spawn(move || assert!(!sees(broker, Door::MutualTls, &none, "t"), "no certificate was asked for"));
    });
}

#[test]
fn a_user_has_the_rights_that_were_granted() {
    let broker = broker(&KafkaOptions { guarded: true, acls: true, ..KafkaOptions::default() });
    broker.tools().create_topic("t", 1, &[]).unwrap();
    let right = settings(broker.guard(), Door::Sasl, "SCRAM-SHA-256");
    assert!(!sees(&broker, Door::Sasl, &right, "t"));
    let user = format!("User:{}", broker.guard().user);
    let grant = ["--add", "--allow-principal", &user, "--operation", "Describe", "--topic", "t"];
    broker.tool("AclCommand", &grant).unwrap_or_else(|e| panic!("{e}"));
    assert!(sees(&broker, Door::Sasl, &right, "t"));
}
