//! Position commands beside and after a running service: what they refuse, what they change, what they leave behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use pgtape::sandbox::{Finished, PrivatePostgres, Process, Service, ServiceProcess};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{server, url_as};

/// Generous: only a hang gets there.
const AT_MOST: Duration = Duration::from_secs(60);

/// One engine's tables and its roll-up, with frequent checkpoints.
const CONFIG: &str = "[source]\ntables = ['perplex.*']\n[standby]\ncheckpoint_every = '200 ms'\n\
                      [rollups]\nnames = ['perplex.pnl_daily']\nflush_every = '10 ms'\n";

/// A fill of 2 x `price`.
fn fill(server: &PrivatePostgres, id: &str, price: &str) {
    let values = format!("('{id}', 'a', 'o', 'BTC', 'buy', '{price}', '2', '1', 'taker', '1700000000000000000', 't')");
    let columns = "id, address, order_id, market_id, side, price, qty, fee_usdc, role, ts_ns, tx_hash";
    server.psql(&format!("INSERT INTO perplex.fills ({columns}) VALUES {values}")).unwrap();
}

fn volume(server: &PrivatePostgres) -> String {
    server.psql("SELECT volume::float8 FROM perplex.pnl_daily").unwrap()
}

fn start(server: &PrivatePostgres, dir: &TempDir) -> ServiceProcess {
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &dir.path().join("data")).unwrap();
    let service = service.config(CONFIG).unwrap().argument("--json");
    let migrated = service.finish(&["migrate", "up"]).unwrap();
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let mut service = ServiceProcess::start(service).unwrap();
    service.wait_ready(AT_MOST).unwrap();
    service
}

/// Runs a command and returns it if it ended with `code`.
#[track_caller]
fn run(service: &ServiceProcess, verb: &[&str], code: i32) -> Finished {
    let finished = service.service().finish(verb).unwrap();
    assert_eq!(finished.code, Some(code), "{verb:?}: {finished:?}\n{}", service.log());
    finished
}

/// Waits until the status of the service is as `want` says.
#[track_caller]
fn wait(service: &ServiceProcess, what: &str, want: impl Fn(&Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + AT_MOST;
    loop {
        let status = service.get("/v1/status").unwrap().json();
        if want(&status) {
            return status;
        }
        assert!(std::time::Instant::now() < deadline, "{what}: {status:#}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sink<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["sinks"].as_array().unwrap().iter().find(|sink| sink["sink"] == name).unwrap()
}

fn verify(service: &ServiceProcess, equal: bool) -> Value {
    let finished = run(service, &["verify", "--json"], i32::from(!equal));
    assert_eq!(finished.json()["ok"], equal, "{finished:?}");
    finished.json()
}

#[test]
fn a_roll_up_is_taken_back_under_the_running_service_and_made_anew_without_it() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let mut service = start(&server, &dir);
    fill(&server, "1", "10");
    let then = server.psql("SELECT pg_current_wal_insert_lsn()").unwrap();
    fill(&server, "2", "100");
    verify(&service, true);
    assert_eq!(volume(&server), "220");

    let rewind = ["sink", "rewind", "perplex.pnl_daily", "--to", &then, "--reason", "a test", "--yes", "--json"];
    let plan = run(&service, &[&rewind[..5], &["--dry-run", "--json"]].concat(), 0).json();
    assert!(plan["plan"]["consequences"][0].as_str().unwrap().contains("applied to perplex.pnl_daily again"), "{plan}");
    assert_eq!(volume(&server), "220", "a dry run changes nothing");
    assert_eq!(run(&service, &rewind, 0).json()["done"], true);
    wait(&service, "the service replays", |status| {
        let rollup = sink(status, "perplex.pnl_daily");
        rollup["generation"] == 2 && rollup["state"] == "following"
    });
    verify(&service, true);
    assert_eq!(volume(&server), "220", "each commit counts once");
    run(&service, &["sink", "rewind", "perplex.pnl_daily", "--to", "FF/0", "--reason", "x", "--yes"], 2);
    run(&service, &["sink", "rewind", "standby", "--to", &then, "--reason", "x", "--yes"], 2);
    let elsewhere = run(&service, &["sink", "rewind", "worker.pnl_daily", "--to", &then, "--dry-run"], 2).stderr;
    assert!(elsewhere.contains("not configured") && elsewhere.contains("there are perplex.pnl_daily"), "{elsewhere}");
    run(&service, &["sink", "rebuild", "perplex.pnl_daily", "--reason", "x", "--yes"], 8);
    let dry = run(&service, &["sink", "rebuild", "perplex.pnl_daily", "--dry-run"], 0).stderr;
    assert!(dry.contains("Not now: another process writes the tape"), "{dry}");

    service.terminate(AT_MOST).unwrap();
    server.psql("UPDATE perplex.pnl_daily SET volume = volume + 1").unwrap();
    let report = verify(&service, false);
    assert_eq!(report["rollups"][0]["differences"][0]["columns"], serde_json::json!(["volume"]), "{report}");
    run(&service, &["sink", "rebuild", "perplex.pnl_daily", "--reason", "a test", "--yes"], 0);
    assert_eq!(volume(&server), "220");
    verify(&service, true);
    let log = "SELECT string_agg(command || ' ' || reason || ' ' || (detail->>'outcome' = 'done')::text, ',' ORDER BY id) \
               FROM pgtape.operator_log WHERE detail->>'outcome' = 'done'";
    assert_eq!(server.psql(log).unwrap(), "sink rewind a test true,sink rebuild a test true");
}

#[test]
fn a_row_that_a_roll_up_cannot_use_is_listed_until_it_is_mended() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let service = start(&server, &dir);
    fill(&server, "good", "10");
    fill(&server, "bad", "cheap");
    wait(&service, "the row is quarantined", |status| sink(status, "perplex.pnl_daily")["quarantined"] == 1);
    let listed = run(&service, &["quarantine", "list", "--sink", "perplex.pnl_daily", "--json"], 0).json();
    let row = &listed["sinks"][0]["rows"][0];
    assert_eq!((&row["key"][0], &row["row"]["price"]), (&Value::from("bad"), &Value::from("cheap")), "{listed}");
    let metrics = service.get("/metrics").unwrap().body;
    assert!(metrics.contains(r#"pgtape_quarantined_total{sink="perplex.pnl_daily"} 1"#), "{metrics}");

    let id = row["id"].as_str().unwrap();
    let discard = ["quarantine", "discard", "--sink", "perplex.pnl_daily", "--reason", "a test", "--yes", "--id"];
    run(&service, &[&discard[..], &["0000000000000000"]].concat(), 2);
    run(&service, &[&discard[..], &[id]].concat(), 0);
    wait(&service, "nothing is listed", |status| sink(status, "perplex.pnl_daily")["quarantined"] == 0);
    server.psql("UPDATE perplex.fills SET price = '5' WHERE id = 'bad'").unwrap();
    verify(&service, true);
    assert_eq!(volume(&server), "30");
    let metrics = service.get("/metrics").unwrap().body;
    assert!(metrics.contains(r#"pgtape_quarantined_total{sink="perplex.pnl_daily"} 1"#), "a counter: {metrics}");
    assert!(metrics.contains(r#"pgtape_quarantined_rows{sink="perplex.pnl_daily"} 0"#), "{metrics}");
}

#[test]
fn two_services_do_not_share_an_address_a_tape_or_a_slot() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let service = start(&server, &dir);
    let other = dir.path().join("other").display().to_string();
    let check = |verb: &[&str], code: i32, want: &str| {
        let finished = run(&service, verb, code);
        assert!(finished.stderr.contains(want), "{verb:?}: {finished:?}");
    };
    check(&["run", "--data-dir", &other], 2, "choose another address with --listen");
    check(&["run", "--listen", "127.0.0.1:0"], 8, "another process writes the tape");
    check(&["run"], 8, "another process writes the tape");
    check(&["run", "--listen", "127.0.0.1:0", "--data-dir", &other], 5, "slot");
    check(&["slot", "drop", "--reason", "x", "--yes"], 5, "is in use");
    check(&["slot", "reset", "--reason", "x", "--yes"], 5, "is in use");
    check(&["uninstall", "--reason", "x", "--yes"], 5, "is in use");
    check(&["slot", "drop", "--dry-run"], 0, "Not now: slot pgtape is in use");
    check(&["migrate", "down"], 5, "stop it first");
    check(&["migrate", "down", "--dry-run"], 0, "Not now: pgtape streams from this database through slot pgtape");
    verify(&service, true);
}

/// Every file and directory below `dir`, with its mode.
fn modes(dir: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.metadata().unwrap();
        found.push((path.display().to_string(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

#[test]
fn nobody_else_may_read_the_data_directory_and_the_doctor_counts_as_run_does() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let service = start(&server, &dir);
    run(&service, &["simulate", "--engines", "perplex", "--seconds", "1", "--rate", "20"], 0);
    run(&service, &["quarantine", "list"], 0);
    wait(&service, "a checkpoint is written", |_| {
        std::fs::read_dir(dir.path().join("data/standby")).unwrap().count() > 1
    });
    let report = service.service().finish(&["doctor", "--json"]).unwrap().json();
    let tables = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "tables").unwrap();
    let (count, beside) = tables["message"].as_str().unwrap().split_once(" captured").unwrap();
    assert!(service.log().contains(&format!("; {count} tables, ")), "doctor counts {count}: {}", service.log());
    assert_eq!(beside, " and pgtape.heartbeat");

    let found = modes(&dir.path().join("data"));
    for part in ["http.address", "sim/perplex", "standby/", "tape/lock", "quarantine/standby"] {
        assert!(found.iter().any(|(path, _)| path.contains(part)), "{part} is not in {found:?}");
    }
    let open: Vec<_> = found.iter().filter(|(_, mode)| ![0o600, 0o700].contains(mode)).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_reset_is_not_called_a_copy_that_was_cut_short() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let mut service = start(&server, &dir);
    fill(&server, "1", "10");
    service.terminate(AT_MOST).unwrap();
    run(&service, &["slot", "reset", "--reason", "a test", "--yes"], 0);
    service.start_again().unwrap();
    service.wait_ready(AT_MOST).unwrap();
    let log = service.log();
    assert!(log.contains("a reset was asked for") && !log.contains("had not ended"), "{log}");
    verify(&service, true);
}

/// `tape cat --follow` prints what is there and what comes, until it is told to stop.
fn follow(server: &PrivatePostgres, service: &ServiceProcess, dir: &Path) {
    let command = service.service().command(&["tape", "cat", "--follow"]);
    let mut following = Process::start("pgtape tape cat --follow", command, &dir.join("follow.log")).unwrap();
    for id in ["1", "followed"] {
        if id != "1" {
            fill(server, id, "10");
        }
        let want = format!(r#""table":"perplex.fills","op":"insert","new":{{"id":"{id}""#);
        let deadline = std::time::Instant::now() + AT_MOST;
        while !following.output().contains(&want) {
            assert!(std::time::Instant::now() < deadline, "{}", following.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    server.psql("DELETE FROM perplex.fills WHERE id = 'followed'").unwrap();
    assert_eq!(following.terminate(AT_MOST).unwrap().and_then(|status| status.code()), Some(0));
}

#[test]
fn after_uninstall_only_the_tables_are_left() {
    let (server, dir) = (server(&[]), TempDir::new().unwrap());
    let mut service = start(&server, &dir);
    fill(&server, "1", "10");
    verify(&service, true);
    let cat = run(&service, &["tape", "cat"], 0).stdout;
    assert!(cat.contains(r#""table":"perplex.fills","op":"insert""#), "{cat}");
    assert_eq!(run(&service, &["tape", "verify", "--json"], 0).json()["ok"], true);
    follow(&server, &service, dir.path());
    service.terminate(AT_MOST).unwrap();
    let log = service.log();
    let stopped: Value = serde_json::from_str(log.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&stopped["stopped"], &stopped["slot"], &stopped["epoch"]), (&true.into(), &"pgtape".into(), &1.into()));
    std::fs::write(dir.path().join("data/notes.txt"), "mine").unwrap();

    let plan = run(&service, &["uninstall", "--dry-run"], 0).stderr;
    assert!(plan.contains("quarantine and operator.log in") && !plan.contains("Not now"), "{plan}");
    // A role that may drop the slot alone drops nothing.
    server.psql("CREATE ROLE half LOGIN REPLICATION PASSWORD 'half'").unwrap();
    let half = Service { url: url_as(&server.url(), "half"), ..service.service().clone() };
    let refused = half.finish(&["uninstall", "--reason", "a test", "--yes"]).unwrap();
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let owner = server.psql("SELECT pubowner::regrole FROM pg_publication").unwrap();
    let want = format!("the role half does not own publication pgtape nor schema pgtape; run it as {owner}");
    assert!(refused.stderr.contains(&want), "{refused:?}");
    assert_eq!(server.psql("SELECT count(*) FROM pg_replication_slots").unwrap(), "1");
    let done = run(&service, &["uninstall", "--reason", "a test", "--yes"], 0);
    assert!(!done.stderr.contains("ERROR"), "{done:?}");
    let left = "SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_publication), \
                to_regnamespace('pgtape') IS NULL, (SELECT count(*) FROM perplex.fills)";
    assert_eq!(server.psql(left).unwrap(), "0|0|t|1");
    let mut files: Vec<_> =
        std::fs::read_dir(dir.path().join("data")).unwrap().map(|f| f.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["notes.txt", "operator.log"], "what is not pgtape's stays, and a note of what was done");

    // Without it nothing is left at all, not even the place for the note; that is no error.
    let (server, dir) = (crate::common::server(&[]), TempDir::new().unwrap());
    let mut service = start(&server, &dir);
    service.terminate(AT_MOST).unwrap();
    let done = run(&service, &["uninstall", "--reason", "a test", "--yes", "--json"], 0);
    assert!(!done.stderr.contains("ERROR") && !done.stderr.contains("WARN"), "{done:?}");
    assert!(!dir.path().join("data").exists());
}
