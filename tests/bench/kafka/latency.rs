//! From a commit to a consumer, at a steady rate; beside a bare producer's send, while the machine has the same commits to do.

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pgtape::sandbox::{KafkaBroker, Process, ServiceProcess};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use tempfile::NamedTempFile;

use super::{LIMIT, TARGET_LATENCY, with_sink};
use crate::backlog::Backlog;
use crate::report::{Against, Case};
use crate::{Error, Plan};

/// Commits, and records of the bare producer, a second.
const RATE: u32 = 1_000;
/// How long the broker is warmed up.
const WARM_UP: Duration = Duration::from_secs(60);
/// How long each is measured, and how long before that it runs.
const MEASURED: Duration = Duration::from_secs(10);
const WARM: Duration = Duration::from_secs(3);
/// One row a transaction, durable when it answers.
const SCRIPT: &str = "
    BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL session_replication_role = replica;
    INSERT INTO openmatch.trades SELECT gen_random_uuid(), 1, 'BTC/USDT', gen_random_uuid(), gen_random_uuid(),
      gen_random_uuid(), gen_random_uuid(), 60000.25, 0.001, 60.5, 'BUY', '\\x6e6f64653031', now();
    COMMIT;";

pub fn measure(broker: &KafkaBroker, plan: &Plan) -> Result<Vec<Case>, Error> {
    println!("kafka-latency: {RATE} transactions a second");
    let backlog = Backlog::prepare()?;
    let (mut ours, mut relaxed, mut bare, mut exact) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    warm_up(broker)?;
    // The first round warms the rest.
    for round in 0..=plan.rounds.min(3) {
        let of_ours = of_pgtape(&backlog, broker, &format!("late{round}"), "exactly-once")?;
        let of_relaxed = of_pgtape(&backlog, broker, &format!("relaxed{round}"), "at-least-once")?;
        let of_bare = of_producer(&backlog, broker, &format!("bare{round}"), false)?;
        let of_exact = of_producer(&backlog, broker, &format!("exact{round}"), true)?;
        println!(
            "  round {round}: p99 of pgtape {of_ours}, at-least-once {of_relaxed}, bare {of_bare}, transactional {of_exact} ms"
        );
        if round > 0 {
            ours.push(of_ours.p99);
            relaxed.push(of_relaxed.p99);
            bare.push(of_bare.p99);
            exact.push(of_exact.p99);
        }
    }
    let case = |name: &str, ours: &[f64], against: &'static str, values| {
        Case::memory(name, ours.to_vec(), Against { name: against, values }, TARGET_LATENCY).in_unit("ms p99")
    };
    Ok(vec![
        case("kafka-latency", &ours, "a bare producer", bare.clone()),
        case("kafka-latency-exact", &ours, "a transactional producer", exact),
        case("kafka-latency-relaxed", &relaxed, "a bare producer", bare),
    ])
}

/// Transactions without a pause: a virtual machine compiles a way once it was gone many times, and at the measured rate
/// it would be compiling while it is measured.
fn warm_up(broker: &KafkaBroker) -> Result<(), Error> {
    broker.tools().create_topic("warm", 2, &[])?;
    // Who begins at once after a commit is sent away for a while: so two take turns.
    let producers = [producer(broker, "warm.0", true)?, producer(broker, "warm.1", true)?];
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < WARM_UP {
        let producer = &producers[done % 2];
        producer.begin_transaction()?;
        for partition in [0, 1] {
            let record = BaseRecord::<(), str>::to("warm").partition(partition).payload("warm");
            producer.send(record).map_err(|(error, _)| error)?;
        }
        while producer.flush(Duration::from_millis(1)).is_err() {}
        producer.commit_transaction(Timeout::Never)?;
        done += 1;
    }
    println!("  warmed up by {done} transactions");
    Ok(())
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

type BareProducer = ThreadedProducer<DefaultProducerContext>;

/// How old records are as a consumer gets them, milliseconds.
struct Ages {
    p50: f64,
    p99: f64,
}

impl fmt::Display for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} (median {:.1})", self.p99, self.p50)
    }
}

/// Consumes a topic; `sent_us` finds when a record began.
fn ages(broker: &KafkaBroker, topic: &str, sent_us: impl Fn(&[u8]) -> Option<u64>) -> Result<Ages, Error> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::End)?;
    consumer.assign(&all)?;
    let (started, mut ages) = (Instant::now(), Vec::new());
    while started.elapsed() < WARM + MEASURED {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let sent = message.payload().and_then(&sent_us).ok_or("a record without its time")?;
        if started.elapsed() > WARM {
            ages.push(now_us().saturating_sub(sent));
        }
    }
    ages.sort_unstable();
    let last = ages.len().checked_sub(1).ok_or("nothing came")?;
    let at = |percent: usize| ages[last * percent / 100] as f64 / 1000.0;
    Ok(Ages { p50: at(50), p99: at(99) })
}

/// `ts_us` of `source`: the commit's time, on this machine's clock.
fn committed_us(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let (_, rest) = text.split_once("\"ts_us\":")?;
    rest.split(',').next()?.parse().ok()
}

fn of_pgtape(backlog: &Backlog, broker: &KafkaBroker, prefix: &str, delivery: &str) -> Result<Ages, Error> {
    let sink = format!("initial = 'now'\ndelivery = '{delivery}'");
    let mut running = ServiceProcess::start(with_sink(&backlog.service()?, broker, prefix, &sink)?)?;
    running.wait_ready(LIMIT)?;
    let mut load = Load::start(backlog)?;
    // The topic is there with the first record.
    let topic = format!("{prefix}.openmatch.trades");
    while !broker.tools().topics()?.contains(&topic) {
        sleep(Duration::from_millis(100));
    }
    let ages = ages(broker, &topic, committed_us)?;
    load.0.kill9()?;
    running.kill9()?;
    Ok(ages)
}

/// Commits at the rate.
struct Load(Process, #[expect(dead_code, reason = "the script lives as long as its reader")] NamedTempFile);

impl Load {
    fn start(backlog: &Backlog) -> Result<Self, Error> {
        let (script, log) = (NamedTempFile::new()?, NamedTempFile::new()?);
        std::fs::write(script.path(), SCRIPT.replace('\n', " "))?;
        let mut command = Command::new(backlog.postgres.bin("pgbench"));
        let seconds = LIMIT.as_secs().to_string();
        command.args(["-n", "-c", "4", "-R", &RATE.to_string(), "-T", &seconds, "-f"]).arg(script.path());
        command.arg(backlog.postgres.url());
        Ok(Self(Process::start("pgbench", command, log.path())?, script))
    }
}

fn of_producer(backlog: &Backlog, broker: &KafkaBroker, topic: &str, transactional: bool) -> Result<Ages, Error> {
    let mut load = Load::start(backlog)?;
    broker.tools().create_topic(topic, 1, &[])?;
    let producer = producer(broker, topic, transactional)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, to) = (Arc::clone(&stop), topic.to_owned());
    let sending = spawn(move || send(&producer, &to, transactional, &stopped).map_err(|error| error.to_string()));
    let ages = ages(broker, topic, |value| std::str::from_utf8(value).ok()?.split(' ').next()?.parse().ok());
    stop.store(true, Ordering::Relaxed);
    sending.join().map_err(|_| "the producer panicked")??;
    load.0.kill9()?;
    ages
}

fn producer(broker: &KafkaBroker, id: &str, transactional: bool) -> Result<BareProducer, Error> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap()).set("acks", "all").set("compression.type", "lz4");
    if transactional {
        config.set("transactional.id", id);
    }
    let producer: BareProducer = config.create()?;
    if transactional {
        producer.init_transactions(Timeout::Never)?;
    }
    Ok(producer)
}

/// Sends at the rate; a transactional one commits what there is, again and again.
fn send(producer: &BareProducer, topic: &str, transactional: bool, stop: &AtomicBool) -> Result<(), Error> {
    let filler = "x".repeat(600);
    let (started, mut sent) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        let due = u32::try_from(started.elapsed().as_millis())? * RATE / 1000;
        if transactional && sent < due {
            producer.begin_transaction()?;
        }
        let any = sent < due;
        while sent < due {
            // When it should have been sent: who is late waits too.
            let should = now_us() - u64::from(due - sent) * 1_000_000 / u64::from(RATE);
            let value = format!("{should} {filler}");
            producer.send(BaseRecord::<(), str>::to(topic).payload(&value)).map_err(|(error, _)| error)?;
            sent += 1;
        }
        if transactional && any {
            while producer.flush(Duration::from_millis(1)).is_err() {}
            producer.commit_transaction(Timeout::Never)?;
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}
