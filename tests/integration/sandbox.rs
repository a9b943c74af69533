//! The sandbox itself: what the other tests stand on.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pgtape::sandbox::{PrivatePostgres, Process, Proxy, finish};

use crate::common::{database, server};

#[test]
fn two_databases_know_nothing_of_each_other() {
    let (one, other) = (database(), database());
    one.psql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(one.psql("SELECT * FROM t").unwrap(), "1");
    assert!(other.psql("SELECT * FROM t").unwrap_err().to_string().contains("does not exist"));
}

#[test]
fn a_server_comes_back_on_the_same_port_after_a_crash() {
    let server = server(&[("fsync", "on")]);
    server.psql("CREATE TABLE t (a int); INSERT INTO t VALUES (7)").unwrap();
    server.stop_immediate().unwrap();
    assert!(server.psql("SELECT 1").is_err());
    server.start_again().unwrap();
    assert_eq!(server.psql("SELECT a, current_setting('wal_level') FROM t").unwrap(), "7|logical");
    let files = server.data_dir();
    drop(server);
    assert!(!files.exists(), "{} is left", files.display());
}

#[test]
fn a_proxy_cuts_stalls_and_carries_again() {
    let server = server(&[]);
    let proxy = Proxy::start(server.port()).unwrap();
    let ask = || finish(psql(&server, &proxy.url(&server.url()), "SELECT 42")).unwrap();
    assert_eq!(ask().stdout, "42\n");
    proxy.refuse();
    assert_eq!(ask().code, Some(2), "psql says 2 when it cannot connect");
    proxy.resume();
    assert_eq!(ask().stdout, "42\n");
    proxy.cut_after(10_000);
    let long = "SELECT repeat('x', 1000000)";
    assert_ne!(finish(psql(&server, &proxy.url(&server.url()), long)).unwrap().code, Some(0));
    assert!(proxy.was_cut());
    proxy.stall();
    let stalled = std::thread::scope(|scope| {
        let asking = scope.spawn(ask);
        proxy.resume();
        asking.join().unwrap()
    });
    assert_eq!(stalled.stdout, "42\n");
}

fn psql(server: &PrivatePostgres, url: &str, sql: &str) -> Command {
    let mut command = Command::new(server.bin("psql"));
    command.args(["-XAtq", "-d", url, "-c", sql]);
    command
}

/// How often it is looked.
const POLL: Duration = Duration::from_millis(20);
/// Names the file in which [`the_victim`] says where its server is.
const VICTIM: &str = "PGTAPE_TEST_VICTIM";
/// The watchdog needs a moment; this is more.
const GONE: Duration = Duration::from_secs(30);

#[test]
fn a_server_does_not_outlive_a_test_process_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("data_dir");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sandbox::the_victim"]).env(VICTIM, &said);
    let mut victim = Process::start("the victim", command, &directory.path().join("log")).unwrap();
    let started = Instant::now();
    while !said.exists() {
        assert!(victim.ended().unwrap().is_none() && started.elapsed() < GONE, "{}", victim.failure("made no server"));
        std::thread::sleep(POLL);
    }
    let files = std::fs::read_to_string(&said).unwrap();
    victim.kill9().unwrap();
    let killed = Instant::now();
    while Path::new(&files).exists() {
        assert!(killed.elapsed() < GONE, "{files} is left");
        std::thread::sleep(POLL);
    }
}

/// Not a test by itself: the process that is killed above.
#[test]
fn the_victim() {
    let Some(said) = std::env::var_os(VICTIM) else { return };
    let server = server(&[]);
    let partial = Path::new(&said).with_extension("partial");
    std::fs::write(&partial, server.data_dir().to_str().unwrap()).unwrap();
    std::fs::rename(partial, said).unwrap();
    loop {
        std::thread::park();
    }
}
