//! The bound on the standby's memory while the service runs.

use std::time::{Duration, Instant};

use pgtape::sandbox::{Service, ServiceProcess};

use crate::common::{assert_verified, server};

/// Generous: only a hang gets there.
const AT_MOST: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Waits until the alarm stands, or does not any more; returns its message.
#[track_caller]
fn wait_for_alarm(service: &ServiceProcess, stands: bool) -> String {
    let started = Instant::now();
    loop {
        let status = service.get("/v1/status").unwrap().json();
        let mut alarms = status["alarms"].as_array().into_iter().flatten();
        let found = alarms.find(|alarm| alarm["alarm"] == "standby_memory");
        if found.is_some() == stands {
            return found.and_then(|alarm| alarm["message"].as_str()).unwrap_or_default().to_owned();
        }
        assert!(started.elapsed() < AT_MOST, "{status}");
        std::thread::sleep(POLL);
    }
}

#[test]
fn rows_that_outgrow_the_bound_raise_an_alarm_and_are_kept() {
    let server = server(&[]);
    server.psql("CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, big text)").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &server.url(), &directory.path().join("data")).unwrap();
    let service = service.tables("shop.*").config("[standby]\nmemory_max = \"1 MiB\"\n").unwrap();
    let mut service = ServiceProcess::start(service).unwrap();
    service.wait_ready(AT_MOST).unwrap_or_else(|e| panic!("{e}"));
    wait_for_alarm(&service, false);

    server.psql("INSERT INTO shop.t SELECT id, repeat('x', 1000) FROM generate_series(1, 3000) AS id").unwrap();
    let message = wait_for_alarm(&service, true);
    assert!(message.contains("standby.memory_max is 1 MiB (largest: shop.t 2 MiB)"), "{message}");
    assert_verified(&service);
    server.psql("DELETE FROM shop.t WHERE id > 500").unwrap();
    wait_for_alarm(&service, false);
}
