//! The configuration's promises: every key is in the file, unknown keys are refused, flags win.

use std::collections::BTreeSet;

use super::*;

const FILE: &str = include_str!("../../config/pgtape.toml");
const DEMO: &str = include_str!("../../config/demo.toml");

fn load(text: &str, flags: &Overrides, environment: &Environment) -> Result<Config, Refusal> {
    let mut raw = parse(text, "test.toml")?;
    check::lay_over(&mut raw, flags, environment)?;
    check::check(raw, environment)
}

/// `section.key` of every value of a document.
pub(super) fn keys(value: &toml::Value, prefix: &str, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                keys(value, &path, into);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            items.iter().for_each(|item| keys(item, prefix, into));
        }
        _ => drop(into.insert(prefix.to_owned())),
    }
}

#[test]
fn the_file_shows_every_key_with_its_default() {
    let shown: toml::Value = toml::from_str(FILE).unwrap();
    let parsed = toml::Value::try_from(parse(FILE, "pgtape.toml").unwrap()).unwrap();
    let default = toml::Value::try_from(raw::Raw::default()).unwrap();
    let (mut in_file, mut known, mut defaults) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    keys(&shown, "", &mut in_file);
    keys(&parsed, "", &mut known);
    keys(&default, "", &mut defaults);
    assert_eq!(in_file, known, "a key is missing from config/pgtape.toml");
    assert!(defaults.iter().all(|key| known.contains(key) || key == "standby.books"));
    let for_the_five = ["source.tables", "standby.indexes", "standby.books", "rollups.names"];
    for key in defaults.iter().filter(|key| !for_the_five.contains(&key.as_str())) {
        let at = |value: &toml::Value| key.split('.').fold(value.clone(), |v, part| v[part].clone());
        assert_eq!(at(&parsed), at(&default), "{key} is not at its default in config/pgtape.toml");
    }
}

#[test]
fn both_files_are_accepted() {
    for text in [FILE, DEMO] {
        let config = load(text, &Overrides::default(), &Environment::default()).unwrap();
        assert_eq!(config.standby.books.len(), 4);
        assert_eq!(config.rollups.names.len(), 5);
        assert!(config.address().is_err(), "no address is in the file");
    }
}

#[test]
fn without_a_file_it_is_the_five_engines_unless_tables_are_named() {
    let load = |tables: Option<&str>| {
        let flags = Overrides { tables: tables.map(Into::into), ..Overrides::default() };
        let config = Config::load(&flags, &Environment::default()).unwrap();
        (config.source.tables.len(), config.standby.books.len(), config.rollups.names.len())
    };
    assert_eq!(load(None), (5, 4, 5));
    assert_eq!(load(Some("shop.*")), (1, 0, 0));
}

#[test]
fn books_and_indexes_of_tables_that_are_not_captured_are_left_out() {
    let flags = Overrides { tables: Some("perplex.*".into()), ..Overrides::default() };
    let config = load(FILE, &flags, &Environment::default()).unwrap();
    assert_eq!(config.standby.books.iter().map(|b| b.engine.as_str()).collect::<Vec<_>>(), ["perplex"]);
    assert!(config.standby.indexes.iter().all(|i| &*i.table.schema == "perplex"));
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let check = |text: &str, want: &str| {
        let refusal = load(text, &Overrides::default(), &Environment::default()).unwrap_err();
        assert_eq!(refusal.kind, Kind::Usage, "{text}");
        let said = refusal.to_string();
        assert!(said.contains(want), "{text}: {said}");
        assert!(!said.contains('\n') && !said.contains("hush"), "{text}: {said}");
    };
    check("slott = 1", "test.toml:1: unknown field `slott`");
    check("[tape]\nsegmentbytes = 1", "test.toml:2: unknown field `segmentbytes`");
    check("[[standby.books]]\nengine = 'a'\nwhat = 1", "unknown field `what`");
    check("[postgres]\nurl = 'postgres://a:hush@h/db\n", "test.toml:2");
    check("[postgres]\nurl = 'postgres://a:hush@h/db?sslmode=allow'", "sslmode=allow is not implemented");
    check("[postgres]\nurl = 'postgres://a@h/db'\npassword_file = '/does/not/exist'", "postgres.password_file");
    check("[tape]\nsegment_bytes = '64'", "'64' is not a size");
    check("[tape]\nsegment_bytes = '1 KiB'", "tape.segment_bytes");
    check("[tape]\nbudget_bytes = '1 MiB'", "tape.budget_bytes");
    check("[tape]\nfsync_every = '1 h'", "tape.fsync_every");
    check("[source]\nslot = 'Slot'", "source.slot");
    check("[source]\ntables = ['orders']", "'orders' is not a table");
    check("[source]\ncopy_jobs = 0", "source.copy_jobs");
    check("[standby]\nindexes = ['a.b']", "'a.b' is not an index");
    check("[http]\nlisten = '0.0.0.0:1'", "say it twice");
    check("[http]\nlisten = 'here'", "http.listen");
    check("[log]\nlevel = 'loud'", "log.level");
    check("sinks = ['kettle']", "'kettle' is not a sink");
    check("sinks = ['rollup']", "choose standby,rollup");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "data_dir = 'file'\n[postgres]\nurl = 'postgres://file/db'\n[source]\ntables = ['file.*']";
    let database_url = Environment { database_url: Some("postgres://env/db".into()), ..Environment::default() };
    let of = |flags: &Overrides, environment: &Environment| {
        let config = load(file, flags, environment).unwrap();
        format!("{} {} {}", config.data_dir.display(), config.address().unwrap(), config.tables().unwrap()[0])
    };
    assert_eq!(of(&Overrides::default(), &Environment::default()), "file file:5432/db file.*");
    assert_eq!(of(&Overrides::default(), &database_url), "file env:5432/db file.*");
    let flags = Overrides {
        url: Some("postgres://flag/db".into()),
        tables: Some("flag.*".into()),
        data_dir: Some("flag".into()),
        ..Overrides::default()
    };
    assert_eq!(of(&flags, &database_url), "flag flag:5432/db flag.*");
    let empty = Overrides { url: Some(String::new()), tables: Some(String::new()), ..Overrides::default() };
    assert_eq!(of(&empty, &Environment::default()), "file file:5432/db file.*");
}

#[test]
fn another_machine_may_listen_only_when_said_twice() {
    let check = |listen: &[&str], anywhere: bool, want: bool| {
        let listen: Vec<String> = listen.iter().map(|l| (*l).to_owned()).collect();
        let flags = Overrides { listen: listen.clone(), listen_anywhere: anywhere, ..Overrides::default() };
        assert_eq!(load("", &flags, &Environment::default()).is_ok(), want, "{listen:?} {anywhere}");
    };
    check(&["127.0.0.1:0"], false, true);
    check(&["[::1]:1"], false, true);
    check(&["localhost:1"], false, true);
    check(&["0.0.0.0:1"], false, false);
    check(&["0.0.0.0:1"], true, true);
    check(&["0.0.0.0:1", "0.0.0.0:1"], false, true);
    check(&["0.0.0.0:1", "0.0.0.0:2"], false, false);
}

#[test]
fn the_password_may_come_from_elsewhere_and_is_never_shown() {
    let environment = Environment { password: Some("hush".into()), ..Environment::default() };
    let config = load("[postgres]\nurl = 'postgres://a:hush@h/db'", &Overrides::default(), &environment).unwrap();
    assert!(!format!("{config:?}").contains("hush"));

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hush\n").unwrap();
    let text = format!("[postgres]\nurl = 'postgres://a@h/db'\npassword_file = '{}'", file.display());
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, permissions).unwrap();
        load(&text, &Overrides::default(), &Environment::default())
    };
    assert!(mode(0o644).unwrap_err().to_string().contains("chmod 600"));
    assert!(mode(0o600).is_ok());
}
