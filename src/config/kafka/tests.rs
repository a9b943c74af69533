use std::collections::BTreeSet;

use super::*;
use crate::config::tests::keys;
use crate::config::{Config, Environment, Overrides};

/// The checked sinks of a file with this `[[kafka]]`, or what it is refused with.
fn load(text: &str) -> Result<Vec<Kafka>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pgtape.toml");
    std::fs::write(&path, text).unwrap();
    let flags = Overrides { config: Some(path), ..Overrides::default() };
    Config::load(&flags, &Environment::default()).map(|config| config.kafka).map_err(|refusal| refusal.to_string())
}

#[test]
fn a_sink_needs_brokers_and_a_prefix() {
    let sinks = load("[[kafka]]\nbrokers = 'b:9092'\ntopic_prefix = 'shop'").unwrap();
    assert_eq!(sinks.len(), 1);
    let sink = &sinks[0];
    assert_eq!((sink.name.as_str(), sink.initial, sink.exactly_once), ("kafka", Initial::Copy, true));
    let check = |text: &str, want: &str| {
        let error = load(&format!("[[kafka]]\n{text}")).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    };
    check("topic_prefix = 'p'", "brokers: is empty");
    check("brokers = 'b'", "topic_prefix");
    check("brokers = 'b'\ntopic_prefix = 'a b'", "cannot begin the name");
    check("brokers = 'b'\ntopic_prefix = 'p'\ninitial = 'latest'", "write copy, earliest, now");
    check("brokers = 'b'\ntopic_prefix = 'p'\nprofile = 'spark'", "there are debezium, flink and plain");
    check("brokers = 'b'\ntopic_prefix = 'p'\ntopic = '{column}'", "names no topic");
    check("brokers = 'b'\ntopic_prefix = 'p'\ntransaction_timeout = '1 h'", "2 s to 15 min");
    check("brokers = 'b'\ntopic_prefix = 'p'\nmessage_max = '1 kB'", "1 KiB to 512 MiB");
    check("brokers = 'b'\ntopic_prefix = 'p'\nproperties = { acks = '1' }", "own business");
    check("brokers = 'b'\ntopic_prefix = 'p'\nproperties = { 'sasl.password' = 'x' }", "is a secret");
    check("brokers = 'b'\ntopic_prefix = 'p'\ntransaction_records = 0", "transaction_records");
    check("brokers = 'b'\ntopic_prefix = 'p'\nsecurity = { user = 'u' }", "without sasl");
    check("brokers = 'b'\ntopic_prefix = 'p'\nsecurity = { sasl = 'plain', user = 'u' }", "PGTAPE_KAFKA_PASSWORD");
    check("brokers = 'b'\ntopic_prefix = 'p'\nsecurity = { ca_file = '/etc/hosts' }", "without tls");
    check(
        "brokers = 'b'\ntopic_prefix = 'p'\n[[kafka.table]]\ntables = 'a.b'\nmask = { c = 'hash' }",
        "mask_secret_file",
    );
    check("brokers = 'b'\ntopic_prefix = 'p'\n[[kafka]]\nbrokers = 'b'\ntopic_prefix = 'q'", "there twice");
}

#[test]
fn a_profile_is_a_base_that_single_keys_change() {
    let form = |text: &str| load(&format!("[[kafka]]\nbrokers = 'b'\ntopic_prefix = 'p'\n{text}")).unwrap()[0].form;
    assert_eq!(form("").decimals, Decimals::Text);
    assert!(form("profile = 'debezium'").strict);
    assert_eq!(form("profile = 'debezium'\ndecimals = 'text'").decimals, Decimals::Text);
    assert!(form("profile = 'flink'").whole_rows);
    assert_eq!(form("profile = 'flink'\ntruncate = 'stop'").truncate, Truncate::Stop);
    assert_eq!(form("profile = 'plain'").format, Format::Plain);
}

#[test]
fn avro_needs_a_registry_and_nothing_else_has_one() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "swordfish\n").unwrap();
    let may = |mode| std::fs::set_permissions(&password, std::fs::Permissions::from_mode(mode)).unwrap();
    let avro = |keys: &str| {
        load(&format!("[[kafka]]\nbrokers = 'b'\ntopic_prefix = 'p'\nformat = 'avro'\n[kafka.registry]\n{keys}"))
    };
    let check = |keys: &str, want: &str| {
        let error = avro(keys).unwrap_err();
        assert!(error.contains(want) && !error.contains("swordfish"), "{keys}: {error}");
    };
    check("", "registry.url: is empty");
    check("url = 'http://cdc:swordfish@r'", "registry.url: does not begin");
    check("url = 'r:8081'", "registry.url: does not begin");
    check("url = 'http://r'\nuser = 'cdc'", "registry.password_file: is empty");
    check("url = 'http://r'\npassword_file = 'f'", "registry.user: is empty");
    check("url = 'http://r'\ntimeout = '1 min'", "a quarter of transaction_timeout");
    check("url = 'http://r'\nca_file = '/nowhere'", "registry.ca_file");
    let with_password = format!("url = 'http://r'\nuser = 'cdc'\npassword_file = '{}'", password.display());
    may(0o644);
    check(&with_password, "others may read");
    may(0o600);
    let sinks = avro(&with_password).unwrap();
    let registry = sinks[0].registry.as_ref().unwrap();
    assert_eq!(
        registry.login.as_ref().map(|(user, password)| (user.as_str(), password.0.as_str())),
        Some(("cdc", "swordfish"))
    );
    assert!(!format!("{sinks:?}").contains("swordfish"));

    let json = |keys: &str| load(&format!("[[kafka]]\nbrokers = 'b'\ntopic_prefix = 'p'\n{keys}"));
    assert!(json("registry = { url = 'http://r' }").unwrap_err().contains("of no use without Avro"));
    assert!(json("format = 'plain'\nschemas = true").unwrap_err().contains("schemas: is for JSON"));
    assert!(json("schemas = true").unwrap()[0].form.schemas);
    assert_eq!(
        json("profile = 'debezium'\nformat = 'avro'\nregistry = { url = 'http://r' }").unwrap()[0].form.format,
        Format::Avro
    );
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    const FILE: &str = include_str!("../../../config/kafka.toml");
    let shown: toml::Value = toml::from_str(FILE).unwrap();
    let parsed = crate::config::parse(FILE, "kafka.toml").unwrap();
    let typed = toml::Value::try_from(&parsed.kafka[0]).unwrap();
    let (mut in_file, mut known) = (BTreeSet::new(), BTreeSet::new());
    keys(&shown["kafka"][0], "", &mut in_file);
    keys(&typed, "", &mut known);
    known.remove("table.mask");
    in_file.remove("table.mask.card");
    known.remove("table.mask.card");
    assert_eq!(in_file, known, "a key is missing from config/kafka.toml");
    let default = toml::Value::try_from(raw::Kafka::default()).unwrap();
    for (key, value) in default.as_table().unwrap() {
        if !["brokers", "topic_prefix", "table", "security"].contains(&key.as_str()) {
            assert_eq!(typed[key], *value, "{key} is not at its default in config/kafka.toml");
        }
    }
    let form = |raw: &raw::Kafka| profile::form(raw, "kafka").unwrap();
    assert_eq!(form(&parsed.kafka[0]), form(&raw::Kafka::default()));
    assert_eq!(load(FILE).unwrap().len(), 1);
}
