//! The Kafka sink beside Java's own producer tool on the same broker with the same payloads; the processor time of a record;
//! and the time from a commit to a consumer, beside a bare producer's from send to consumer.

mod latency;

use std::io::Write;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgtape::sandbox::{KafkaBroker, KafkaPrograms, Place, Service, ServiceProcess};
use serde_json::Value;

use crate::backlog::Backlog;
use crate::drain;
use crate::report::{Against, Case};
use crate::{Error, Plan};

/// The jars that `scripts/setup.sh kafka` fetches.
const JARS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/kafka/libs");
const POLL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(180);
/// Catching up is at least as fast as Java's tool.
const TARGET_RATE: f64 = 1.0;
/// Processor time of one record, microseconds.
const TARGET_CPU_US: f64 = 5.0;
/// From commit to consumer takes at most so many times a bare producer's send to consumer.
const TARGET_LATENCY: f64 = 2.0;
/// Records of ours that Java's tool sends again.
const PAYLOADS: &str = "20000";
/// Source transactions have so many rows.
const ROWS_PER_TRANSACTION: u32 = 1000;
/// What both producers run with, as Java names it.
const JAVA: [&str; 4] = ["acks=all", "compression.type=lz4", "batch.size=1000000", "linger.ms=10"];

/// All cases of Kafka.
pub fn measure(plan: &Plan) -> Result<Vec<Case>, Error> {
    let place = Place::from_text(&std::env::var("PGTAPE_BENCH_KAFKA").unwrap_or_default());
    let broker = KafkaBroker::start(&place, KafkaPrograms::at(JARS)?)?;
    let mut cases = Vec::new();
    if plan.wants("kafka-catch-up") || plan.wants("kafka-cpu") {
        cases.extend(catch_up(&broker, plan)?);
    }
    if plan.wants("kafka-latency") {
        cases.extend(latency::measure(&broker, plan)?);
    }
    Ok(cases)
}

/// A sink that begins with the tape's first transaction, of its own in each round.
fn with_sink(service: &Service, broker: &KafkaBroker, prefix: &str, more: &str) -> Result<Service, Error> {
    let kafka = format!(
        "sinks = [\"kafka\"]\n[source]\ntables = [\"openmatch.trades\"]\n[[kafka]]\nbrokers = \"{}\"\n\
         topic_prefix = \"{prefix}\"\n{more}\n",
        broker.bootstrap()
    );
    Ok(service.clone().config(&kafka)?)
}

fn catch_up(broker: &KafkaBroker, plan: &Plan) -> Result<Vec<Case>, Error> {
    println!("kafka-catch-up: making a tape of {} rows", plan.rows);
    let backlog = Backlog::prepare()?;
    let end = backlog.fill(0, plan.rows, ROWS_PER_TRANSACTION)?.parse()?;
    let service = backlog.service()?;
    let mut running = ServiceProcess::start(service.clone().argument("--sinks=none"))?;
    let started = Instant::now();
    while !drain::past(&running, end) {
        if started.elapsed() > LIMIT {
            return Err(running.process().failure("did not drain the backlog").into());
        }
        sleep(POLL);
    }
    running.terminate(LIMIT)?;
    let (mut ours, mut java, mut cpu, mut allowed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let by_pgtape = |round: u32| {
        let prefix = format!("bench{round}");
        produce(with_sink(&service, broker, &prefix, "initial = 'earliest'")?, plan.rows)
    };
    // The first round warms the broker up, and gives Java's tool its payloads.
    by_pgtape(0)?;
    let payloads = payloads_of(broker, "bench0.openmatch.trades")?;
    let by_java = |round: u32| java_rate(broker, &format!("java{round}"), payloads.path(), plan.rows);
    by_java(0)?;
    for round in 1..=plan.rounds {
        let ((rate, cpu_us), java_rate) = if round % 2 == 1 {
            let ours = by_pgtape(round)?;
            (ours, by_java(round)?)
        } else {
            let java = by_java(round)?;
            (by_pgtape(round)?, java)
        };
        println!("  round {round}: pgtape {rate:.0}, Java {java_rate:.0} records/s; {cpu_us:.2} us a record");
        ours.push(rate);
        java.push(java_rate);
        cpu.push(cpu_us);
        allowed.push(TARGET_CPU_US);
    }
    Ok(vec![
        Case::speed("kafka-catch-up".into(), ours, Against { name: "Java's producer tool", values: java }, TARGET_RATE)
            .in_unit("records/s"),
        Case::memory("kafka-cpu", cpu, Against { name: "allowed", values: allowed }, 1.0).in_unit("us/rec"),
    ])
}

/// Records a second and microseconds of processor time a record, from the first Kafka transaction to the last.
fn produce(service: Service, rows: u32) -> Result<(f64, f64), Error> {
    let mut running = ServiceProcess::start(service)?;
    let started = Instant::now();
    let pid = running.process().pid().ok_or("pgtape did not start")?;
    let mut first = None;
    loop {
        let records = records(&running);
        let now = (Instant::now(), records, cpu_ticks(pid)?);
        if records > 0 && first.is_none() {
            first = Some(now);
        }
        if let Some((at, before, ticks)) = first.filter(|_| records >= u64::from(rows)) {
            let produced = (records - before) as f64;
            let cpu = (now.2 - ticks) as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64;
            running.kill9()?;
            return Ok((produced / at.elapsed().as_secs_f64(), cpu / produced));
        }
        if started.elapsed() > LIMIT || running.process().ended()?.is_some() {
            return Err(running.process().failure("did not catch up").into());
        }
        sleep(POLL);
    }
}

fn records(running: &ServiceProcess) -> u64 {
    let status = running.get("/v1/status").map(|reply| reply.json()).unwrap_or(Value::Null);
    status["kafka"][0]["records"].as_u64().unwrap_or(0)
}

/// Processor time of a process, in the kernel's ticks.
fn cpu_ticks(pid: u32) -> Result<u64, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The 14th and 15th field of the whole line; the first two are before the bracket.
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// Values of ours, one a line, for Java's tool.
fn payloads_of(broker: &KafkaBroker, topic: &str) -> Result<tempfile::NamedTempFile, Error> {
    let mut command = Command::new("kcat");
    command.args(["-C", "-b", &broker.bootstrap(), "-t", topic, "-o", "beginning", "-e", "-q", "-c", PAYLOADS]);
    let output = command.args(["-f", "%s\n"]).output()?;
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&output.stdout)?;
    Ok(file)
}

/// What Java's tool says of itself.
fn java_rate(broker: &KafkaBroker, topic: &str, payloads: &std::path::Path, rows: u32) -> Result<f64, Error> {
    broker.tools().create_topic(topic, 1, &[])?;
    let (rows, file) = (rows.to_string(), payloads.display().to_string());
    let words = ["--topic", topic, "--num-records", &rows, "--payload-file", &file, "--throughput", "-1"];
    let finished = broker.tools().run("ProducerPerformance", &[&words[..], &["--command-property"], &JAVA].concat())?;
    let last =
        finished.stdout.lines().rev().find(|line| line.contains("records/sec")).ok_or("no result of the tool")?;
    let rate = last.split(',').nth(1).and_then(|part| part.trim().split(' ').next()).ok_or("no rate")?;
    Ok(rate.parse()?)
}
