//! What people mistype or misconfigure: one line on stderr that says what to do, and a documented exit code.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use pgtape::sandbox::{Finished, finish};

use crate::common::{database, server, url_as};

/// The program, with nothing of our own environment's `PGTAPE_*`.
fn pgtape(arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtape"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PGTAPE_") || name == "DATABASE_URL") {
        command.env_remove(name);
    }
    finish({
        command.args(arguments);
        command
    })
    .unwrap()
}

/// It ended with `code`, and said `want` in one line.
#[track_caller]
fn check(finished: &Finished, code: i32, want: &str) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert!(finished.stderr.starts_with("pgtape: ") && finished.stderr.contains(want), "{finished:?}");
    assert_eq!(finished.stderr.trim_end().lines().count(), 1, "{finished:?}");
}

fn file(dir: &Path, text: &str) -> String {
    let path = dir.join("pgtape.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_wrong_command_line_is_refused_in_one_line() {
    check(&pgtape(&["rum"]), 2, "unrecognized subcommand 'rum'");
    check(&pgtape(&["run", "--tabels", "a.b"]), 2, "--tabels");
    check(&pgtape(&["slot", "drop"]), 2, "--reason");
    check(&pgtape(&["run", "--sinks", "kettle", "--url", "postgres://a@h/d"]), 2, "'kettle' is not a sink");
    check(&pgtape(&["run", "--tables", "orders", "--url", "postgres://a@h/d"]), 2, "write schema.table");
    check(&pgtape(&["run"]), 2, "no Postgres is named; pass --url");
    check(&pgtape(&["run", "--url", "postgres://a@h/d?sslmode=allow"]), 2, "sslmode=allow is not implemented");
}

#[test]
fn an_empty_value_is_not_taken_for_none() {
    for option in ["--tables", "--url", "--slot", "--publication", "--data-dir", "--listen", "--config", "--sinks"] {
        check(&pgtape(&["run", option, ""]), 2, "> is empty");
        check(&pgtape(&["run", &format!("{option}=")]), 2, &format!("{option} <"));
    }
    check(&pgtape(&["slot", "drop", "--reason", ""]), 2, "--reason <TEXT> is empty");
    let mut unset = Command::new(env!("CARGO_BIN_EXE_pgtape"));
    unset.args(["tape", "info", "--data-dir", "/nowhere"]).env("PGTAPE_TABLES", "").env("PGTAPE_CONFIG", "");
    assert_eq!(finish(unset).unwrap().code, Some(6), "an empty variable is one that is not set");
}

#[test]
fn a_wrong_configuration_is_refused_with_file_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let config = |text: &str| pgtape(&["doctor", "--config", &file(dir.path(), text)]);
    check(&config("[tape]\nsegmentbytes = \"1 MiB\"\n"), 2, "pgtape.toml:2: unknown field `segmentbytes`");
    check(&config("[postgres]\nurl = 'postgres://a:hush@h/d\n"), 2, "pgtape.toml:2");
    check(&config("[http]\nlisten = '192.0.2.1:7654'\n"), 2, "--listen-anywhere");
    let missing = dir.path().join("missing.toml").display().to_string();
    check(&pgtape(&["doctor", "--config", &missing]), 2, "cannot be read: No such file");
    let directory = dir.path().display().to_string();
    check(&pgtape(&["doctor", "--config", &directory]), 2, "cannot be read");
}

#[test]
fn the_password_is_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    let config = file(dir.path(), "[postgres]\nurl = 'postgres://a:hush@127.0.0.1:1/d'\n[source]\nslot = 'X'\n");
    for arguments in [
        &["doctor", "--config", &config][..],
        &["doctor", "--url", "postgres://a:hush@127.0.0.1:1/d"],
        &["doctor", "--url", "postgres://a:hush@127.0.0.1:port/d"],
        &["doctor", "--url", "postgres://a:hush@127.0.0.1:1/d", "--json"],
        &["--help", "--url", "postgres://a:hush@127.0.0.1:1/d"],
    ] {
        let finished = pgtape(arguments);
        assert!(!format!("{finished:?}").contains("hush"), "{finished:?}");
    }
}

#[test]
fn listening_to_other_machines_must_be_said_twice() {
    let run = |more: &[&str]| {
        let arguments = ["doctor", "--url", "postgres://a@127.0.0.1:1/d?sslmode=disable", "--listen", "0.0.0.0:0"];
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().display().to_string();
        pgtape(&[&arguments[..], &["--data-dir", &data], more].concat())
    };
    check(&run(&[]), 2, "say it twice");
    assert_ne!(run(&["--listen-anywhere"]).code, Some(2));
    assert_ne!(run(&["--listen", "0.0.0.0:0"]).code, Some(2));
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_said() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(&pgtape(&["doctor", "--url", &format!("postgres://a@{nobody}/d")]), 3, "cannot reach");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://a@{}/d?sslmode=disable", silent.local_addr().unwrap());
    check(&pgtape(&["doctor", "--url", &url]), 3, "did not answer within 2 s");
}

#[test]
fn with_json_the_error_is_an_object_too() {
    let finished = pgtape(&["doctor", "--json", "--url", "postgres://a@127.0.0.1:1/d"]);
    check(&finished, 3, "cannot reach");
    let error = finished.json();
    assert_eq!(error["error"]["code"], "unreachable");
    assert!(error["error"]["message"].as_str().unwrap().contains("cannot reach"));
    assert!(!error["error"]["hint"].as_str().unwrap().is_empty());
    for wrong in [
        &["run", "--json"][..],
        &["--json"],
        &["rum", "--json"],
        &["slot", "--json"],
        &["verify", "--json", "--slot", ""],
    ] {
        let finished = pgtape(wrong);
        assert_eq!((finished.code, &finished.json()["error"]["code"]), (Some(2), &"usage".into()), "{finished:?}");
    }
}

#[test]
fn asking_a_service_that_does_not_run_says_how_to_start_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    for verb in ["status", "verify"] {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let finished = pgtape(&[verb, "--data-dir", &data, "--listen", &nobody, "--tables", "a.b"]);
        assert_ne!(finished.code, Some(0), "{finished:?}");
    }
}

#[test]
fn the_version_names_commit_servers_and_format() {
    let version = pgtape(&["--version"]);
    assert_eq!(version.code, Some(0));
    for part in ["pgtape ", "commit ", "Postgres 14-18", "tape format "] {
        assert!(version.stdout.contains(part), "{version:?}");
    }
}

#[test]
fn nobody_at_the_terminal_means_not_confirmed() {
    let database = database();
    database.psql("SELECT pg_create_logical_replication_slot('pgtape_cli', 'pgoutput')").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = file(dir.path(), "[source]\nslot = 'pgtape_cli'\n");
    let data = dir.path().display().to_string();
    let url = database.url();
    let drop_slot = |more: &[&str]| {
        pgtape(&[&["slot", "drop", "--config", &config, "--url", &url, "--data-dir", &data], more].concat())
    };
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgtape_cli'";
    let said = drop_slot(&["--reason", "a test"]);
    assert_eq!(said.code, Some(9), "{said:?}");
    assert!(said.stderr.contains("will never reach the tape"), "the plan is said first: {said:?}");
    let dry = drop_slot(&["--dry-run", "--json"]);
    assert_eq!((dry.code, dry.json()["done"].as_bool()), (Some(0), Some(false)), "{dry:?}");
    assert_eq!(database.psql(slots).unwrap(), "1");

    let done = drop_slot(&["--reason", "a test", "--yes", "--json"]);
    assert_eq!((done.code, done.json()["done"].as_bool()), (Some(0), Some(true)), "{done:?}");
    assert_eq!(database.psql(slots).unwrap(), "0");
    let log = std::fs::read_to_string(dir.path().join("operator.log")).unwrap();
    assert!(log.contains(r#""reason":"a test""#) && log.contains("slot drop"), "{log}");
    check(&drop_slot(&["--reason", "again", "--yes"]), 5, "does not exist");
}

#[test]
fn simulating_without_tables_or_rights_says_what_to_do() {
    let database = database();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let simulate = |url: &str| {
        pgtape(&[
            "simulate",
            "--seconds",
            "1",
            "--rate",
            "10",
            "--engines",
            "perplex",
            "--url",
            url,
            "--data-dir",
            &data,
        ])
    };
    check(&simulate(&database.url()), 4, "pgtape migrate up");
    let up = pgtape(&["migrate", "up", "--only", "perplex", "--url", &database.url(), "--data-dir", &data]);
    assert_eq!(up.code, Some(0), "{up:?}");
    let guest = format!("guest_of_{}", database.name());
    database.psql(&format!("CREATE ROLE {guest} LOGIN PASSWORD '{guest}'")).unwrap();
    let refused = simulate(&url_as(&database.url(), &guest));
    database.psql(&format!("DROP ROLE {guest}")).unwrap();
    check(&refused, 4, "GRANT pgtape_engine_perplex TO");
}

#[test]
fn schemas_with_rows_do_not_go_unsaid() {
    let database = database();
    let url = database.url();
    let migrate = |arguments: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().display().to_string();
        pgtape(&[&["migrate"], arguments, &["--url", &url, "--data-dir", &data]].concat())
    };
    let up = migrate(&["up"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('perplex', 'worker', 'ledger', 'pgtape')";
    let dry = migrate(&["down", "--dry-run", "--json"]);
    assert_eq!((dry.code, dry.json()["done"].as_bool()), (Some(0), Some(false)), "{dry:?}");
    assert!(dry.stderr.contains("schema perplex: 8 tables with about"), "{dry:?}");
    assert_eq!(database.psql(schemas).unwrap(), "4");

    assert_eq!(migrate(&["down", "--only", "ledger", "--yes"]).code, Some(2));
    let worker = migrate(&["down", "--only", "worker", "--yes", "--reason", "a test", "--json"]).json();
    assert_eq!((&worker["changed"], &worker["logged_in"]), (&true.into(), &"pgtape.operator_log".into()), "{worker}");
    assert_eq!(database.psql(schemas).unwrap(), "3");
    // No terminal, nobody to ask: what is lost is said all the same.
    let all = migrate(&["down", "--json"]);
    assert!(all.stderr.contains("schema perplex: 8 tables with about"), "{all:?}");
    assert_eq!((all.code, all.json()["done"].as_bool()), (Some(0), Some(true)), "{all:?}");
    assert!(!all.stderr.contains("ERROR"), "{all:?}");
    assert_eq!(database.psql(schemas).unwrap(), "0");
}

#[test]
fn doctor_finds_what_is_wrong_and_the_sql_that_mends_it() {
    let server = server(&[("synchronous_standby_names", "*")]);
    // Nothing may wait for the standby that is never there.
    server
        .psql("SET synchronous_commit = local; CREATE TABLE keyless (a int); CREATE TABLE good (a int PRIMARY KEY)")
        .unwrap();
    let doctor = |tables: &str| pgtape(&["doctor", "--url", &server.url(), "--tables", tables, "--json"]);
    let findings = |finished: &Finished| {
        let report = finished.json();
        let checks = report["checks"].as_array().unwrap().clone();
        checks
            .into_iter()
            .filter(|c| c["level"] == "finding")
            .map(|c| (c["check"].to_string(), c["fix"].to_string()))
            .collect::<Vec<_>>()
    };
    let report = doctor("public.*");
    assert_eq!(report.code, Some(1), "{report:?}");
    let found = findings(&report);
    assert!(
        found.iter().any(|(c, fix)| c.contains("synchronous_standby_names") && fix.contains("ALTER SYSTEM")),
        "{found:?}"
    );
    let keyless = found.iter().find(|(c, _)| c.contains("replica_identity")).unwrap();
    assert!(keyless.1.contains(r#"ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL"#), "{found:?}");

    // What it says is what mends it.
    server.psql("SET synchronous_commit = local; ALTER TABLE keyless REPLICA IDENTITY FULL").unwrap();
    server.psql("ALTER SYSTEM SET synchronous_standby_names = ''").unwrap();
    server.psql("SELECT pg_reload_conf()").unwrap();
    server.stop_fast().unwrap();
    server.start_again().unwrap();
    let report = doctor("public.*");
    assert_eq!((report.code, findings(&report)), (Some(0), vec![]), "{report:?}");
    // Without any of the schemas of the built-in configuration `run` is refused: the doctor says the same beforehand.
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let built_in = |verb: &str| pgtape(&[verb, "--url", &server.url(), "--data-dir", &data, "--listen", "127.0.0.1:0"]);
    let report = built_in("doctor");
    assert_eq!(report.code, Some(1), "{report:?}");
    for found in ["FINDING  tables: no table matches perplex.*", "FINDING  schema_pgtape", "`pgtape migrate up`"] {
        assert!(report.stdout.contains(found), "{found}: {report:?}");
    }
    check(&built_in("run"), 4, "with --tables, or make the engines' with `pgtape migrate up`");
    let missing = doctor("public.*,shop.*");
    assert!(
        findings(&missing).iter().any(|(c, fix)| c.contains("tables") && fix.contains("public.keyless")),
        "{missing:?}"
    );
}
