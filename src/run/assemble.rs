//! From what source, tape and sinks say to one status: readiness, lag, alarms.
//!
//! Invariant: "ready" means that reads have seen everything the server had committed when the connection was made, and are
//! not far behind now. Asks nobody and reads no clock: facts and time come in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::largest::largest;
use crate::api::{Alarm, KafkaStatus, SinkStatus, SlotStatus, SourceStatus, Status, TableStatus, TapeStatus};
use crate::model::{Identity, Lsn, Position};
use crate::sinks::kafka::report::Report;
use crate::sinks::standby::View;
use crate::{sinks, source, tape};

/// Reads further behind the server than this are not called ready.
pub const READY_LAG_BYTES_MAX: u64 = 64 << 20;
/// A slot that keeps more WAL than this raises an alarm.
pub const RETAINED_ALARM_BYTES: u64 = 4 << 30;
/// A tape that has used this much of its budget raises an alarm, in percent.
pub const BUDGET_ALARM_PERCENT: u64 = 90;

/// What does not change while the service runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The version of pgtape, with its commit.
    pub version: String,
    /// The database.
    pub database: String,
    /// The slot's name.
    pub slot: String,
    /// When the service started, microseconds since the Unix epoch.
    pub started_us: i64,
    /// The tape's budget, if there is one.
    pub budget_bytes: Option<u64>,
    /// What the rows of the standby are meant to take at most, bytes.
    pub memory_max_bytes: u64,
}

/// What was seen just now.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The source.
    pub source: source::SourceStatus,
    /// The tape's files; `None` when they cannot be read.
    pub usage: Option<tape::Usage>,
    /// The tape's durable end.
    pub end: tape::End,
    /// Whether the disk has no space for the tape.
    pub tape_full: bool,
    /// The sinks that are switched on.
    pub sinks: Vec<sinks::SinkStatus>,
    /// The Kafka sinks.
    pub kafka: Vec<Report>,
    /// The standby's newest view; `None` without the standby.
    pub view: Option<Arc<View>>,
}

/// Makes statuses; remembers what readiness and lag need from one to the next.
#[derive(Debug)]
pub struct Assembler {
    fixed: Fixed,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The connection (by the number of reconnects) that is streaming, and where the server was when it was first seen.
    connection: Option<(u64, Lsn)>,
    /// When each sink was last seen at the tape's end, microseconds.
    even: HashMap<String, i64>,
}

impl Assembler {
    /// For one run of the service.
    #[must_use]
    pub fn new(fixed: Fixed) -> Self {
        Self { fixed, memory: Mutex::default() }
    }

    /// The status at `now_us`, microseconds since the Unix epoch.
    #[must_use]
    pub fn status(&self, parts: &Parts, now_us: i64) -> Status {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = memory.not_ready(parts);
        let topics = parts.kafka.iter().map(Report::as_sink);
        let all = parts.sinks.iter().cloned().chain(topics);
        let sinks: Vec<SinkStatus> = all.map(|sink| memory.sink(&sink, parts.end.lsn, now_us)).collect();
        let uptime_us = now_us.saturating_sub(self.fixed.started_us).max(0);
        Status {
            version: self.fixed.version.clone(),
            ready: reason.is_none(),
            reason,
            uptime_seconds: u64::try_from(uptime_us / 1_000_000).unwrap_or(0),
            system_id: parts.source.system_id.to_string(),
            server_version: parts.source.server_version.clone(),
            timeline: parts.source.timeline,
            database: self.fixed.database.clone(),
            source: source_status(&parts.source),
            slot: slot_status(&self.fixed.slot, parts.source.slot.as_ref()),
            tape: tape_status(parts),
            alarms: alarms(parts, &self.fixed),
            sinks,
            kafka: parts.kafka.iter().map(kafka_status).collect(),
            tables: tables(parts),
        }
    }
}

impl Memory {
    /// Why reads should not be relied on yet.
    fn not_ready(&mut self, parts: &Parts) -> Option<String> {
        let source = &parts.source;
        match source.state {
            source::State::Streaming | source::State::Refreshing => {}
            source::State::Copying => {
                return Some(format!("the first copy is running: {} rows so far", source.copied_rows));
            }
            source::State::Connecting => return Some("connecting to Postgres".into()),
            source::State::Reconnecting => {
                let why = source.last_error.as_deref().unwrap_or("the connection was lost");
                return Some(format!("no connection to Postgres: {why}"));
            }
            source::State::Stopped => return Some("stopped reading from Postgres".into()),
        }
        if parts.tape_full {
            return Some("the disk has no space for the tape".into());
        }
        if self.connection.is_none_or(|(connection, _)| connection != source.reconnects) {
            self.connection = Some((source.reconnects, source.server_end));
        }
        let target = self.connection.map_or(Lsn::ZERO, |(_, target)| target);
        let position = match &parts.view {
            Some(view) if view.epoch == 0 => return Some("the first copy is being applied".into()),
            Some(view) => view.position.lsn,
            None => parts.end.lsn,
        };
        let lag = source.server_end.bytes_since(position);
        if position < target || lag > READY_LAG_BYTES_MAX {
            return Some(format!("catching up: {lag} bytes of WAL behind the server"));
        }
        None
    }

    fn sink(&mut self, sink: &sinks::SinkStatus, end: Lsn, now_us: i64) -> SinkStatus {
        let lag_bytes = end.bytes_since(sink.position.lsn);
        if lag_bytes == 0 {
            self.even.insert(sink.sink.clone(), now_us);
        }
        // What it waits for was committed after both its last transaction and the last time nothing was waiting.
        let since = self.even.get(&sink.sink).copied().unwrap_or(0).max(sink.commit_time_us);
        let lag_us = if lag_bytes == 0 || since == 0 { 0 } else { now_us.saturating_sub(since).max(0) };
        SinkStatus {
            sink: sink.sink.clone(),
            position: sink.position,
            epoch: sink.epoch,
            generation: sink.generation,
            lag_bytes,
            lag_ms: u64::try_from(lag_us / 1_000).unwrap_or(0),
            state: sink.state.as_str(),
            quarantined: sink.quarantined,
            quarantined_total: sink.quarantined_total,
            last_error: sink.error.clone(),
        }
    }
}

fn source_status(source: &source::SourceStatus) -> SourceStatus {
    SourceStatus {
        state: source.state.name(),
        received: source.received,
        server_end: source.server_end,
        transactions: source.transactions,
        copied_rows: source.copied_rows,
        reconnects: source.reconnects,
        last_error: source.last_error.clone(),
    }
}

fn slot_status(name: &str, slot: Option<&source::SlotStatus>) -> SlotStatus {
    SlotStatus {
        name: name.to_owned(),
        active: slot.map(|s| s.active),
        confirmed: slot.map(|s| s.confirmed),
        restart: slot.map(|s| s.restart),
        wal_status: slot.map(|s| s.wal_status.clone()),
        retained_bytes: slot.map(|s| s.retained_bytes),
    }
}

fn kafka_status(report: &Report) -> KafkaStatus {
    KafkaStatus {
        sink: report.sink.clone(),
        committed: report.committed,
        records: report.records,
        bytes: report.bytes,
        transactions: report.transactions,
        last_transaction_us: report.last.map(|last| last.at_us),
        last_transaction_records: report.last.map(|last| last.records),
        last_transaction_ms: report.last.map(|last| last.took_ms),
        stopped_topics: report.stopped.len() as u64,
        outbox_waiting: report.outbox.as_ref().map(|outbox| outbox.waiting),
        outbox_unmarked: report.outbox.as_ref().map(|outbox| outbox.unmarked),
    }
}

fn tape_status(parts: &Parts) -> TapeStatus {
    let durable = Position::whole(parts.end.lsn);
    TapeStatus {
        oldest: parts.usage.map_or(durable, |u| Position::whole(u.oldest)),
        newest: Position::whole(parts.source.received).max(durable),
        durable,
        lag_bytes: parts.source.server_end.bytes_since(parts.end.lsn),
        bytes: parts.usage.map_or(0, |u| u.bytes),
        segments: parts.usage.map_or(0, |u| u.segments),
        epoch: parts.end.epoch,
        state: if parts.tape_full { "full" } else { "writing" },
    }
}

/// The captured tables: as the server lists them, with what the standby knows.
fn tables(parts: &Parts) -> Vec<TableStatus> {
    let of = |captured: &source::TableStatus| {
        let table = parts.view.as_ref().and_then(|view| view.table(&captured.table));
        let counters = table.map(|t| t.counters()).unwrap_or_default();
        TableStatus {
            table: captured.table.clone(),
            replica_identity: match captured.identity {
                Identity::Default => "default",
                Identity::Nothing => "nothing",
                Identity::Full => "full",
                Identity::Index => "index",
            },
            rows: table.map_or(0, |t| t.len()),
            inserts: counters.inserts,
            updates: counters.updates,
            deletes: counters.deletes,
            truncates: counters.truncates,
            misfits: counters.misfits,
        }
    };
    parts.source.tables.iter().map(of).collect()
}

fn alarms(parts: &Parts, bounds: &Fixed) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut raise = |alarm: &'static str, message: String| alarms.push(Alarm { alarm, message });
    let source = &parts.source;
    if source.state == source::State::Reconnecting {
        raise("disconnected", source.last_error.clone().unwrap_or_else(|| "the connection was lost".into()));
    }
    if let Some(slot) = &source.slot {
        if slot.wal_status == "lost" || slot.wal_status == "unreserved" {
            raise("slot_lost", format!("the slot is {}: the server removes WAL that it needs", slot.wal_status));
        }
        if slot.retained_bytes > RETAINED_ALARM_BYTES {
            raise("slot_retains", format!("the server keeps {} bytes of WAL because of the slot", slot.retained_bytes));
        }
    }
    for message in &source.alarms {
        raise("server_setting", message.clone());
    }
    for message in &source.table_alarms {
        raise("tables", message.clone());
    }
    if parts.tape_full {
        raise("tape_full", "the disk has no space for the tape; nothing is confirmed meanwhile".into());
    }
    if let (Some(budget), Some(usage)) = (bounds.budget_bytes, parts.usage)
        && usage.bytes > budget / 100 * BUDGET_ALARM_PERCENT
    {
        raise("tape_budget", format!("the tape has {} of {budget} bytes", usage.bytes));
    }
    if let Some(view) = parts.view.as_ref().filter(|view| view.bytes() > bounds.memory_max_bytes) {
        raise("standby_memory", too_large(view, bounds.memory_max_bytes));
    }
    for stop in parts.kafka.iter().flat_map(|report| &report.stopped) {
        raise("topic_stopped", format!("{} is produced to {} only: {}", stop.table, stop.position, stop.reason));
    }
    for report in &parts.kafka {
        if let Some(error) = report.outbox.as_ref().and_then(|outbox| outbox.error.as_ref()) {
            raise("outbox_marks", format!("{}: delivered events cannot be marked: {error}", report.sink));
        }
    }
    for sink in parts.sinks.iter().cloned().chain(parts.kafka.iter().map(Report::as_sink)) {
        if matches!(sink.state, sinks::State::Retrying | sinks::State::Stopped) {
            let why = sink.error.as_deref().unwrap_or("no reason was given");
            raise("sink_failing", format!("{} is {}: {why}", sink.sink, sink.state.as_str()));
        }
        if sink.quarantined > 0 {
            raise("quarantine", format!("{} cannot use {} rows", sink.sink, sink.quarantined));
        }
    }
    for table in parts.view.iter().flat_map(|view| view.tables()) {
        let misfits = table.counters().misfits;
        if misfits > 0 {
            raise("table_misfits", format!("{misfits} changes of {} did not fit the rows held", table.name()));
        }
    }
    for (engine, market) in parts.view.iter().flat_map(|view| view.books().crossed()) {
        raise("book_crossed", format!("the book of {engine} {market} is crossed"));
    }
    alarms
}

/// The rows of the standby have outgrown `standby.memory_max`: by how much, and which tables are the largest.
fn too_large(view: &View, most: u64) -> String {
    let largest = largest(view.tables().map(|table| (table.name(), table.bytes())));
    let held = view.bytes() >> 20;
    format!("the standby holds {held} MiB of rows and standby.memory_max is {} MiB (largest: {largest})", most >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(state: source::State, server_end: u64, end: u64, reconnects: u64) -> Parts {
        let end = tape::End { lsn: Lsn(end), epoch: 1, segment: 1, offset: 0, writer: 1 };
        let source = source::SourceStatus { state, server_end: Lsn(server_end), reconnects, ..Default::default() };
        Parts { source, usage: None, end, tape_full: false, sinks: Vec::new(), kafka: Vec::new(), view: None }
    }

    fn assembler() -> Assembler {
        let fixed = Fixed {
            version: "0".into(),
            database: "d".into(),
            slot: "s".into(),
            started_us: 0,
            budget_bytes: Some(1_000),
            memory_max_bytes: 0,
        };
        Assembler::new(fixed)
    }

    #[test]
    fn ready_means_past_what_was_there_when_the_connection_was_made() {
        let assembler = assembler();
        let check = |parts: Parts, want: &str| {
            let status = assembler.status(&parts, 0);
            assert_eq!(status.reason.as_deref().unwrap_or("ready").split(':').next(), Some(want));
        };
        use source::State::{Connecting, Copying, Reconnecting, Streaming};
        check(parts(Connecting, 100, 0, 0), "connecting to Postgres");
        check(parts(Copying, 100, 0, 0), "the first copy is running");
        check(parts(Streaming, 100, 90, 0), "catching up");
        check(parts(Streaming, 200, 100, 0), "ready");
        check(parts(Reconnecting, 200, 100, 0), "no connection to Postgres");
        check(parts(Streaming, 300, 200, 1), "catching up");
        check(parts(Streaming, 300, 300, 1), "ready");
        check(parts(Streaming, 400 + READY_LAG_BYTES_MAX, 300, 1), "catching up");
        check(Parts { tape_full: true, ..parts(Streaming, 300, 300, 1) }, "the disk has no space for the tape");
    }

    #[test]
    fn lag_counts_from_when_something_began_to_wait() {
        let assembler = assembler();
        let check = |position: u64, end: u64, now_us: i64, want_ms: u64| {
            let mut parts = parts(source::State::Streaming, end, end, 0);
            parts.sinks.push(sinks::SinkStatus {
                sink: "standby".into(),
                state: sinks::State::Following,
                position: Position::whole(Lsn(position)),
                epoch: 1,
                commit_time_us: 1_000,
                committed: None,
                generation: None,
                quarantined: 0,
                quarantined_total: 0,
                error: None,
            });
            assert_eq!(assembler.status(&parts, now_us).sinks[0].lag_ms, want_ms);
        };
        check(10, 20, 5_000, 4);
        check(20, 20, 3_600_000_000, 0);
        check(20, 30, 3_600_007_000, 7);
    }

    #[test]
    fn alarms_are_raised_before_it_is_too_late() {
        let check = |change: fn(&mut Parts), want: &[&str]| {
            let mut parts = parts(source::State::Streaming, 1, 1, 0);
            change(&mut parts);
            let raised: Vec<&str> = assembler().status(&parts, 0).alarms.iter().map(|a| a.alarm).collect();
            assert_eq!(raised, want);
        };
        check(|_| {}, &[]);
        check(|p| p.tape_full = true, &["tape_full"]);
        check(|p| p.usage = Some(tape::Usage { segments: 1, bytes: 950, oldest: Lsn(0) }), &["tape_budget"]);
        check(
            |p| {
                let wal_status = "unreserved".to_owned();
                let slot = source::SlotStatus { wal_status, retained_bytes: u64::MAX, ..Default::default() };
                p.source.slot = Some(slot);
            },
            &["slot_lost", "slot_retains"],
        );
    }
}
