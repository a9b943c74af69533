//! Every way to log in to a walsender, encrypted or not.

use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use pgtape::refusal::Kind;
use pgtape::sandbox::PrivatePostgres;

use super::HERE;
use super::rig::{Rig, lsn};
use crate::common::server;

/// The server asks for log-ins by these lines from now on.
fn ask_by(pg: &PrivatePostgres, lines: &str) {
    std::fs::write(pg.data_dir().join("pg_hba.conf"), lines).unwrap();
    pg.psql("SELECT pg_reload_conf()").unwrap();
}

fn url(pg: &PrivatePostgres, user: &str, options: &str) -> String {
    format!("postgres://{user}:it%27s%20%C3%BC@127.0.0.1:{}/postgres?{options}", pg.port())
}

async fn streams(pg: &PrivatePostgres, url: &str, slot: &str) {
    let rig = Rig::new(url, slot, "s.*");
    let mut running = rig.stream().await;
    running.reach(lsn(&pg.psql(&format!("INSERT INTO s.t DEFAULT VALUES; {HERE}")).unwrap())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_md5_and_clear_text_work() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA s; CREATE TABLE s.t (id serial PRIMARY KEY);
         CREATE ROLE scram SUPERUSER LOGIN PASSWORD 'it''s ü'; SET password_encryption = md5;
         CREATE ROLE old SUPERUSER LOGIN PASSWORD 'it''s ü'",
    )
    .unwrap();
    ask_by(
        &pg,
        "host all,replication postgres 127.0.0.1/32 scram-sha-256\nhost all,replication scram 127.0.0.1/32 scram-sha-256\n\
         host all,replication old 127.0.0.1/32 md5\n",
    );
    streams(&pg, &url(&pg, "scram", "sslmode=disable"), "by_scram").await;
    streams(&pg, &url(&pg, "old", "sslmode=disable"), "by_md5").await;
    ask_by(
        &pg,
        "host all,replication postgres 127.0.0.1/32 scram-sha-256\nhost all,replication all 127.0.0.1/32 password\n",
    );
    streams(&pg, &url(&pg, "scram", "sslmode=disable"), "by_text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_encrypted_as_the_address_says() {
    let pg = server(&[]);
    pg.psql(
        "CREATE SCHEMA s; CREATE TABLE s.t (id serial PRIMARY KEY); CREATE ROLE tls SUPERUSER LOGIN PASSWORD 'it''s ü'",
    )
    .unwrap();
    let (key, certificate) = (pg.data_dir().join("server.key"), pg.data_dir().join("server.crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl comes with Debian's Postgres");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let owner = std::fs::metadata(pg.data_dir()).unwrap();
    for file in [&key, &certificate] {
        chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(&certificate, root.path()).unwrap();
    pg.psql("ALTER SYSTEM SET ssl = on").unwrap();
    ask_by(
        &pg,
        "host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all,replication tls 127.0.0.1/32 scram-sha-256\n",
    );
    let with = |options: &str| url(&pg, "tls", options);
    streams(&pg, &with("sslmode=require"), "required").await;
    streams(&pg, &with("sslmode=prefer"), "preferred").await;
    let trusted = format!("sslmode=verify-ca&sslrootcert={}", root.path().display());
    streams(&pg, &with(&trusted), "trusted").await;
    for options in ["sslmode=disable", "sslmode=verify-ca"] {
        let refusal = Rig::new(&with(options), "refused", "s.*").start().await.err().expect(options);
        assert_eq!(refusal.kind, Kind::Unreachable, "{options}: {refusal:?}");
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
    }
}
