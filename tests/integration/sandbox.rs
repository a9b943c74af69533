//! The sandbox itself: what the other tests stand on.

use std::process::Command;

use pgtape::sandbox::{PrivatePostgres, Proxy, finish};

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
