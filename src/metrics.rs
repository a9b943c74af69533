//! Every metric name of the service, once. What the status knows is filled in when Prometheus asks; what only the hot
//! path sees (the time of an fsync) is counted where it happens.
//!
//! The families of the engines' writers live with the writers.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

use crate::api::Status;

/// A metric and what it means.
struct Name(&'static str, &'static str);

const UP: Name = Name("pgtape_ready", "1 when reads are answered from a caught-up standby");
const UPTIME: Name = Name("pgtape_uptime_seconds", "Seconds since the process started");
const RETAINED: Name = Name("pgtape_slot_retained_bytes", "WAL the server keeps because of the slot, in bytes");
const SLOT_ACTIVE: Name = Name("pgtape_slot_active", "1 while a connection uses the slot");
const CONFIRMED: Name = Name("pgtape_slot_confirmed_lsn", "What the slot was told to be durable, as a byte position");
const DURABLE_LAG: Name =
    Name("pgtape_durable_lag_bytes", "WAL of the server that is not fsynced on the tape yet, in bytes");
const TRANSACTIONS: Name = Name("pgtape_transactions_total", "Transactions appended to the tape");
const RECONNECTS: Name = Name("pgtape_reconnects_total", "Connections to the server made again");
const COPIED: Name = Name("pgtape_copied_rows", "Rows copied so far by the copy that runs");
const TAPE_BYTES: Name = Name("pgtape_tape_bytes", "Size of the tape on disk, in bytes");
const TAPE_SEGMENTS: Name = Name("pgtape_tape_segments", "Files of the tape");
const TAPE_DURABLE: Name = Name("pgtape_tape_durable_lsn", "The end of what is fsynced, as a byte position");
const TAPE_FULL: Name = Name("pgtape_tape_full", "1 while the disk has no space for the tape");
const EPOCH: Name = Name("pgtape_tape_epoch", "The epoch of new transactions");
const SINK_LAG_BYTES: Name =
    Name("pgtape_sink_lag_bytes", "Between the sink's position and the tape's durable end, in bytes");
const SINK_LAG_SECONDS: Name =
    Name("pgtape_sink_lag_seconds", "Age of the oldest transaction that has had no effect in the sink");
const QUARANTINED: Name =
    Name("pgtape_quarantined_total", "Rows that the sink could not use, since the data directory began");
const QUARANTINED_ROWS: Name = Name("pgtape_quarantined_rows", "Rows that are in quarantine now");
const KAFKA_RECORDS: Name = Name(
    "pgtape_kafka_records_total",
    "Records that the sink produced since its progress began (kafka reset begins anew)",
);
const KAFKA_BYTES: Name =
    Name("pgtape_kafka_bytes_total", "Bytes of the records' keys, values and headers, since the start");
const KAFKA_TRANSACTIONS: Name =
    Name("pgtape_kafka_transactions_total", "Kafka transactions with records, since the start");
const KAFKA_LAST_AT: Name = Name(
    "pgtape_kafka_last_transaction_timestamp_seconds",
    "When the last Kafka transaction was committed, since 1970",
);
const KAFKA_LAST_TOOK: Name = Name(
    "pgtape_kafka_last_transaction_seconds",
    "How long the last Kafka transaction took, from its first record to the coordinator's answer",
);
const OUTBOX_WAITING: Name =
    Name("pgtape_outbox_waiting", "Rows of an outbox that wait for their time, or for another attempt");
const OUTBOX_UNMARKED: Name = Name("pgtape_outbox_unmarked", "Marks of an outbox that Postgres has not taken yet");
const KAFKA_STOPPED: Name = Name("pgtape_kafka_stopped_topics", "Topics that have stopped while others go on");
const ROWS: Name = Name("pgtape_rows_total", "Rows applied by the standby since the start");
const TABLE_ROWS: Name = Name("pgtape_table_rows", "Rows that the standby holds");
const ALARM: Name = Name("pgtape_alarm", "1 for each alarm that stands");
const VERIFY_EQUAL: Name =
    Name("pgtape_verify_equal", "1 when the last verification found everything equal, 0 when not");
const VERIFY_AT: Name = Name("pgtape_verify_timestamp_seconds", "When the last verification ended, since 1970");
const FSYNC: Name = Name("pgtape_fsync_seconds", "Time of an fsync of the tape");

/// From 0.1 ms, doubling, to 6.5 s.
const FSYNC_BUCKETS: usize = 17;

/// What is counted where it happens. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    fsync: Histogram,
    verify_equal: IntGauge,
    verify_at: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = prometheus::exponential_buckets(0.0001, 2.0, FSYNC_BUCKETS).expect("constants");
        let fsync = HistogramOpts::new(FSYNC.0, FSYNC.1).buckets(buckets);
        Self {
            fsync: Histogram::with_opts(fsync).expect("constants"),
            verify_equal: gauge(&VERIFY_EQUAL),
            verify_at: Gauge::with_opts(Opts::new(VERIFY_AT.0, VERIFY_AT.1)).expect("constants"),
        }
    }
}

impl Metrics {
    /// One fsync of the tape took this long.
    pub fn fsync(&self, took: Duration) {
        self.fsync.observe(took.as_secs_f64());
    }

    /// A verification ended at `now`.
    pub fn verified(&self, equal: bool, now: jiff::Timestamp) {
        self.verify_equal.set(i64::from(equal));
        self.verify_at.set(Duration::from_millis(u64::try_from(now.as_millisecond()).unwrap_or(0)).as_secs_f64());
    }

    /// Everything as text, with what `status` says.
    #[must_use]
    pub fn text(&self, status: &Status) -> String {
        let page = Page::default();
        page.add(self.fsync.clone());
        // Nothing is claimed before the first verification.
        if self.verify_at.get() > 0.0 {
            page.add(self.verify_equal.clone());
            page.add(self.verify_at.clone());
        }
        page.service(status);
        page.tape(status);
        page.sinks(status);
        page.kafka(status);
        page.tables(status);
        page.encode()
    }
}

/// One answer to Prometheus, filled from a status and thrown away.
#[derive(Default)]
struct Page(Registry);

impl Page {
    fn add(&self, collector: impl Collector + 'static) {
        self.0.register(Box::new(collector)).expect("each name stands once on the page");
    }

    fn gauge(&self, name: &Name, value: u64) {
        let gauge = gauge(name);
        gauge.set(signed(value));
        self.add(gauge);
    }

    fn counter(&self, name: &Name, value: u64) {
        let counter = IntCounter::new(name.0, name.1).expect("constants");
        counter.inc_by(value);
        self.add(counter);
    }

    fn service(&self, status: &Status) {
        self.gauge(&UP, u64::from(status.ready));
        self.gauge(&UPTIME, status.uptime_seconds);
        self.counter(&TRANSACTIONS, status.source.transactions);
        self.counter(&RECONNECTS, status.source.reconnects);
        self.gauge(&COPIED, status.source.copied_rows);
        // Without an answer of the server nothing is said of the slot, rather than 0.
        if let Some(bytes) = status.slot.retained_bytes {
            self.gauge(&RETAINED, bytes);
        }
        if let Some(active) = status.slot.active {
            self.gauge(&SLOT_ACTIVE, u64::from(active));
        }
        if let Some(confirmed) = status.slot.confirmed {
            self.gauge(&CONFIRMED, confirmed.0);
        }
        let alarms = IntGaugeVec::new(Opts::new(ALARM.0, ALARM.1), &["alarm"]).expect("constants");
        for alarm in &status.alarms {
            alarms.with_label_values(&[alarm.alarm]).set(1);
        }
        self.add(alarms);
    }

    fn tape(&self, status: &Status) {
        let tape = &status.tape;
        self.gauge(&DURABLE_LAG, tape.lag_bytes);
        self.gauge(&TAPE_BYTES, tape.bytes);
        self.gauge(&TAPE_SEGMENTS, tape.segments);
        self.gauge(&TAPE_DURABLE, tape.durable.lsn.0);
        self.gauge(&TAPE_FULL, u64::from(tape.state == "full"));
        self.gauge(&EPOCH, u64::from(tape.epoch));
    }

    fn sinks(&self, status: &Status) {
        let bytes = IntGaugeVec::new(Opts::new(SINK_LAG_BYTES.0, SINK_LAG_BYTES.1), &["sink"]).expect("constants");
        let seconds = GaugeVec::new(Opts::new(SINK_LAG_SECONDS.0, SINK_LAG_SECONDS.1), &["sink"]).expect("constants");
        let quarantined = IntCounterVec::new(Opts::new(QUARANTINED.0, QUARANTINED.1), &["sink"]).expect("constants");
        let rows = IntGaugeVec::new(Opts::new(QUARANTINED_ROWS.0, QUARANTINED_ROWS.1), &["sink"]).expect("constants");
        for sink in &status.sinks {
            let label = [sink.sink.as_str()];
            bytes.with_label_values(&label).set(signed(sink.lag_bytes));
            seconds.with_label_values(&label).set(Duration::from_millis(sink.lag_ms).as_secs_f64());
            quarantined.with_label_values(&label).inc_by(sink.quarantined_total);
            rows.with_label_values(&label).set(signed(sink.quarantined));
        }
        self.add(bytes);
        self.add(seconds);
        self.add(quarantined);
        self.add(rows);
    }

    fn kafka(&self, status: &Status) {
        let counter = |name: &Name| IntCounterVec::new(Opts::new(name.0, name.1), &["sink"]).expect("constants");
        let gauge = |name: &Name| GaugeVec::new(Opts::new(name.0, name.1), &["sink"]).expect("constants");
        let (records, bytes) = (counter(&KAFKA_RECORDS), counter(&KAFKA_BYTES));
        let (transactions, stopped) = (counter(&KAFKA_TRANSACTIONS), gauge(&KAFKA_STOPPED));
        let (at, took) = (gauge(&KAFKA_LAST_AT), gauge(&KAFKA_LAST_TOOK));
        let whole = |name: &Name| IntGaugeVec::new(Opts::new(name.0, name.1), &["sink"]).expect("constants");
        let (waiting, unmarked) = (whole(&OUTBOX_WAITING), whole(&OUTBOX_UNMARKED));
        for sink in &status.kafka {
            let label = [sink.sink.as_str()];
            for (gauge, rows) in [(&waiting, sink.outbox_waiting), (&unmarked, sink.outbox_unmarked)] {
                if let Some(rows) = rows {
                    gauge.with_label_values(&label).set(signed(rows));
                }
            }
            records.with_label_values(&label).inc_by(sink.records);
            bytes.with_label_values(&label).inc_by(sink.bytes);
            transactions.with_label_values(&label).inc_by(sink.transactions);
            stopped.with_label_values(&label).set(u32::try_from(sink.stopped_topics).unwrap_or(u32::MAX).into());
            // Nothing is claimed before the first transaction.
            if let Some(last_us) = sink.last_transaction_us.and_then(|us| u64::try_from(us).ok()) {
                at.with_label_values(&label).set(Duration::from_micros(last_us).as_secs_f64());
            }
            if let Some(ms) = sink.last_transaction_ms {
                took.with_label_values(&label).set(Duration::from_millis(ms).as_secs_f64());
            }
        }
        self.add(records);
        self.add(bytes);
        self.add(transactions);
        self.add(stopped);
        self.add(waiting);
        self.add(unmarked);
        self.add(at);
        self.add(took);
    }

    fn tables(&self, status: &Status) {
        let ops = IntCounterVec::new(Opts::new(ROWS.0, ROWS.1), &["table", "op"]).expect("constants");
        let rows = IntGaugeVec::new(Opts::new(TABLE_ROWS.0, TABLE_ROWS.1), &["table"]).expect("constants");
        for table in &status.tables {
            let name = table.table.to_string();
            for (op, count) in [("insert", table.inserts), ("update", table.updates), ("delete", table.deletes)] {
                ops.with_label_values(&[name.as_str(), op]).inc_by(count);
            }
            rows.with_label_values(&[name.as_str()]).set(signed(table.rows));
        }
        self.add(ops);
        self.add(rows);
    }

    fn encode(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn gauge(name: &Name) -> IntGauge {
    IntGauge::new(name.0, name.1).expect("constants")
}

/// Gauges are signed; nothing of ours is that large.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kafka_sink_is_told_by_name_and_its_last_transaction_once_there_is_one() {
        let mut status = crate::api::tests::status();
        status.kafka[0].last_transaction_us = Some(1_500_000);
        status.kafka[0].last_transaction_ms = Some(250);
        status.kafka[0].stopped_topics = 2;
        let text = Metrics::default().text(&status);
        for line in [
            "pgtape_kafka_records_total{sink=\"kafka\"} 1",
            "pgtape_kafka_bytes_total{sink=\"kafka\"} 100",
            "pgtape_kafka_transactions_total{sink=\"kafka\"} 1",
            "pgtape_kafka_last_transaction_timestamp_seconds{sink=\"kafka\"} 1.5",
            "pgtape_kafka_last_transaction_seconds{sink=\"kafka\"} 0.25",
            "pgtape_kafka_stopped_topics{sink=\"kafka\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        status.kafka[0].last_transaction_us = None;
        status.kafka[0].last_transaction_ms = None;
        let text = Metrics::default().text(&status);
        assert!(!text.contains("pgtape_kafka_last"), "{text}");
    }
}
