//! Memory while one transaction of a million rows passes: flat with the tape alone, at most twice the rows' text more
//! with the standby.

use std::thread::sleep;
use std::time::{Duration, Instant};

use pgtape::model::Lsn;
use pgtape::sandbox::{Service, ServiceProcess};

use crate::Error;
use crate::backlog::Backlog;
use crate::drain::past;
use crate::report::{Against, Case};

/// Rows of the transaction.
const ROWS: u32 = 1_000_000;
/// Growth below this is flat: buffers that are there whatever passes.
const FLAT_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// With the standby: times the rows' text.
const TARGET_STANDBY: f64 = 2.0;
/// How often the memory is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Nothing here takes this long.
const LIMIT: Duration = Duration::from_secs(600);

/// The tape alone. Measured once: a peak is a peak.
pub fn tape() -> Result<Case, Error> {
    let (growth, _) = peak("--sinks=none")?;
    let against = Against { name: "64 MiB", values: vec![FLAT_BYTES] };
    Ok(Case::memory("memory-tape", vec![growth], against, 1.0))
}

/// With the standby, which has to keep the rows.
pub fn standby() -> Result<Case, Error> {
    let (growth, text) = peak("--sinks=standby")?;
    let against = Against { name: "the rows' text", values: vec![text] };
    Ok(Case::memory("memory-standby", vec![growth], against, TARGET_STANDBY))
}

/// How much the service grew at most, and the rows' text, in bytes.
fn peak(sinks: &str) -> Result<(f64, f64), Error> {
    println!("memory: a transaction of {ROWS} rows, {sinks}");
    let backlog = Backlog::prepare()?;
    let service: Service = backlog.service()?.argument(sinks);
    let mut running = ServiceProcess::start(service)?;
    running.wait_ready(LIMIT)?;
    let before = running.process().rss_bytes().ok_or("the service has no memory")?;
    let mut most = before;
    let end = std::thread::scope(|scope| -> Result<(), Error> {
        let filling = scope.spawn(|| backlog.fill(0, ROWS, ROWS).map_err(|e| e.to_string()));
        let mut watch = |running: &mut ServiceProcess| -> Result<(), Error> {
            let now = running.process().rss_bytes().ok_or_else(|| running.process().failure("ended"))?;
            most = most.max(now);
            sleep(POLL);
            Ok(())
        };
        while !filling.is_finished() {
            watch(&mut running)?;
        }
        let end: Lsn = filling.join().map_err(|_| "filling panicked")??.parse()?;
        let started = Instant::now();
        while !past(&running, end) {
            if started.elapsed() > LIMIT {
                return Err(running.process().failure("did not take the transaction").into());
            }
            watch(&mut running)?;
        }
        Ok(())
    });
    end?;
    println!("  {} MiB before, {} MiB at most", before >> 20, most >> 20);
    Ok((float(most - before)?, text_bytes(&backlog)?))
}

/// The text of all values.
fn text_bytes(backlog: &Backlog) -> Result<f64, Error> {
    let columns = backlog.postgres.psql(
        "SELECT string_agg(format('coalesce(octet_length(%I::text), 0)', attname), ' + ')
           FROM pg_attribute WHERE attrelid = 'openmatch.trades'::regclass AND attnum > 0 AND NOT attisdropped",
    )?;
    let sum = backlog.postgres.psql(&format!("SELECT sum({columns}) FROM openmatch.trades"))?;
    Ok(sum.parse()?)
}

fn float(bytes: u64) -> Result<f64, Error> {
    Ok(f64::from(u32::try_from(bytes >> 10)?) * 1024.0)
}
