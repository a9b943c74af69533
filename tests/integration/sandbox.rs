//! The sandbox itself: what the other tests stand on.

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
