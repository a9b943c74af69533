//! A full disk: the service stays up and not ready, and goes on by itself when there is space again.

use std::time::{Duration, Instant};

use pgtape::sandbox::{Service, ServiceProcess, SmallDisk};

use crate::common::load::{Dice, Load};
use crate::common::{assert_verified, seed, server};
use rand::Rng;

use super::READY;

/// The whole disk.
const DISK_BYTES: u64 = 112 << 20;
/// What is on it that can be taken away; the service wants some 40 MiB of space before it goes on.
const BALLAST_BYTES: usize = 72 << 20;
/// The load fills what is left long before.
const FULL: Duration = Duration::from_secs(120);
/// How often `/readyz` is asked.
const POLL: Duration = Duration::from_millis(50);

const CONFIG: &str = "[tape]\nsegment_bytes = \"1 MiB\"\nreserve_bytes = \"2 MiB\"\n";

/// Incompressible, so that the tape grows as fast as the load writes.
fn incompressible(dice: &mut Dice) -> String {
    let id: u32 = dice.random();
    format!(
        "INSERT INTO shop.t SELECT {id}, string_agg(md5(n::text || {id}), '') FROM generate_series(1, 2000) AS n
         ON CONFLICT DO NOTHING; DELETE FROM shop.t WHERE id <> {id}"
    )
}

#[test]
fn a_full_disk_stops_the_tape_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), DISK_BYTES).unwrap() else {
        println!("NOT RUN: a file system of a limited size needs root");
        return;
    };
    let server = server(&[]);
    server.psql("CREATE SCHEMA shop; CREATE TABLE shop.t (id bigint PRIMARY KEY, big text)").unwrap();
    disk.take(BALLAST_BYTES).unwrap();
    let mut service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &disk.path().join("data")).unwrap();
    service.log = directory.path().join("service.log");
    let service = service.tables("shop.*").config(CONFIG).unwrap();
    let mut service = ServiceProcess::start(service).unwrap();
    service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));

    let load = Load::start(&server.url(), seed(), 1, incompressible);
    let started = Instant::now();
    let full = loop {
        let reply = service.get("/readyz").unwrap_or_else(|_| panic!("{}", service.process().failure("is gone")));
        let state = service.get("/v1/status").unwrap().json()["tape"]["state"].clone();
        if reply.status == 503 && state == "full" {
            break reply.body;
        }
        assert!(started.elapsed() < FULL, "the disk was not full after {} s", FULL.as_secs());
        std::thread::sleep(POLL);
    };
    println!("not ready: {full}");
    assert!(load.finish() > 0);
    disk.give_back().unwrap();
    service.wait_ready(READY).unwrap_or_else(|e| panic!("{e}"));
    assert_verified(&service);
}
