//! Rows a second from a slot with a backlog to the fsynced tape, and to standby and roll-up.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgtape::model::{Lsn, Position};
use pgtape::sandbox::{Process, Service, ServiceProcess};

use crate::backlog::Backlog;
use crate::report::{Against, Case};
use crate::{Error, Plan};

/// How often progress is looked at: the error of a measurement.
const POLL: Duration = Duration::from_millis(5);
/// pg_recvlogical has drained the backlog when it wrote nothing for so long; not counted.
const QUIET: Duration = Duration::from_secs(2);
/// Every row is longer than this in pgoutput: with less written, a pause is not the end.
const ROW_BYTES_MIN: u64 = 200;
/// Nothing here takes this long.
const LIMIT: Duration = Duration::from_secs(120);
/// With the tape alone, this share of pg_recvlogical's rate is to be reached.
const TARGET_TAPE: f64 = 0.9;
/// With standby and roll-up, this.
const TARGET_SINKS: f64 = 0.6;

/// Drains one backlog in turn by pg_recvlogical, by the tape alone, and by the whole service.
pub fn measure(rows_per_transaction: u32, plan: &Plan) -> Result<Vec<Case>, Error> {
    println!("drain-{rows_per_transaction}: making a backlog of {} rows", plan.rows);
    let backlog = Backlog::prepare()?;
    let end: Lsn = backlog.fill(0, plan.rows, rows_per_transaction)?.parse()?;
    let rate = |took: Duration| f64::from(plan.rows) / took.as_secs_f64();
    let (mut peer, mut tape, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        peer.push(rate(pg_recvlogical(&backlog, plan.rows)?));
        tape.push(rate(pgtape(backlog.service()?.argument("--sinks=none"), end)?));
        sinks.push(rate(pgtape(backlog.service()?, end)?));
        let last = |values: &[f64]| values.last().copied().unwrap_or_default();
        println!(
            "  round {round}: pg_recvlogical {:.0}, tape {:.0}, with sinks {:.0} rows/s",
            last(&peer),
            last(&tape),
            last(&sinks)
        );
    }
    let against = Against { name: "pg_recvlogical", values: peer };
    let name = format!("drain-{rows_per_transaction}");
    let whole = Case::speed(format!("{name}-sinks"), sinks, against.clone(), TARGET_SINKS);
    Ok(vec![Case::speed(name, tape, against, TARGET_TAPE), whole])
}

/// From the start of the process to the last byte it wrote.
fn pg_recvlogical(backlog: &Backlog, rows: u32) -> Result<Duration, Error> {
    backlog.slot("peer")?;
    let mut command = Command::new(backlog.postgres.bin("pg_recvlogical"));
    command.args(["--start", "--no-loop", "-S", "peer", "-f", "/dev/null", "-d", &backlog.postgres.url()]);
    command.args(["-o", "proto_version=1", "-o", "publication_names=pgtape"]);
    let log = tempfile::NamedTempFile::new()?;
    let started = Instant::now();
    let mut process = Process::start("pg_recvlogical", command, log.path())?;
    let pid = process.pid().ok_or("pg_recvlogical did not start")?;
    let (mut bytes, mut last) = (0, started);
    while last.elapsed() < QUIET || bytes < u64::from(rows) * ROW_BYTES_MIN {
        if process.ended()?.is_some() || started.elapsed() > LIMIT {
            return Err(process.failure("did not drain the backlog").into());
        }
        let now = written_bytes(pid)?;
        if now > bytes {
            (bytes, last) = (now, Instant::now());
        }
        sleep(POLL);
    }
    process.kill9()?;
    Ok(last - started)
}

/// What a process has written, to /dev/null too, as the kernel counts.
fn written_bytes(pid: u32) -> Result<u64, Error> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/PID/io")?;
    Ok(line.trim().parse()?)
}

/// From the start of the process until tape and sinks are durable past `end`.
fn pgtape(service: Service, end: Lsn) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut running = ServiceProcess::start(service)?;
    while !past(&running, end) {
        if let Some(status) = running.process().ended()? {
            return Err(running.process().failure(&format!("ended with {status}")).into());
        }
        if started.elapsed() > LIMIT {
            return Err(running.process().failure("did not drain the backlog").into());
        }
        sleep(POLL);
    }
    let took = started.elapsed();
    running.kill9()?;
    Ok(took)
}

/// Whether the tape is fsynced past `end`, and every sink applied it.
pub fn past(running: &ServiceProcess, end: Lsn) -> bool {
    let Ok(reply) = running.get("/v1/status") else { return false };
    let status = reply.json();
    let position = |text: &serde_json::Value| text.as_str().and_then(|text| text.parse::<Position>().ok());
    let is_past = |text: &serde_json::Value| position(text).is_some_and(|position| position.lsn > end);
    let sinks = status["sinks"].as_array().map(Vec::as_slice).unwrap_or_default();
    is_past(&status["tape"]["durable"]) && sinks.iter().all(|sink| is_past(&sink["position"]))
}
