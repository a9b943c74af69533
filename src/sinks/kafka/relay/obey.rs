//! Obeying an order: one session, one transaction.

use std::path::Path;

use super::begin::{Begun, Instance, NotBegun, begin, progress_of};
use super::thread::forget_noted;
use super::work::TOPIC_NOTE;
use crate::model::{Position, TableName};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::{Stopped, note_of};
use crate::sinks::kafka::client::{Failure, Found, Producer, Sent};
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::sinks::kafka::progress::{Keys, Progress};
use crate::sinks::kafka::settings::Settings;
use crate::tape;

/// Obeys an order while no service runs.
pub fn obey_alone(settings: &Settings, tape_dir: &Path, order: &Order) -> Result<Obeyed, Refusal> {
    obey(settings, tape_dir, &mut Instance::new(), order)
}

/// Obeys an order as this instance.
pub(super) fn obey(
    settings: &Settings,
    tape_dir: &Path,
    instance: &mut Instance,
    order: &Order,
) -> Result<Obeyed, Refusal> {
    let keys = Keys::new(&settings.id);
    let begun = match begin(settings, &keys, settings.message_bytes_max, instance) {
        Ok(begun) => begun,
        Err(NotBegun::Refused(refusal)) => return Err(refusal),
        Err(NotBegun::Failed(failure)) => return Err(refusal_of(settings, &failure)),
    };
    let written = plan(settings, tape_dir, &keys, &begun.found, order)?;
    write(settings, &begun, &written.records).map_err(|failure| refusal_of(settings, &failure))?;
    if matches!(order, Order::Reset | Order::Move { .. }) {
        forget_noted(settings).map_err(tape::Error::into_refusal)?;
    }
    tracing::info!(sink = settings.name, %order, "obeyed");
    Ok(written.obeyed)
}

fn refusal_of(settings: &Settings, failure: &Failure) -> Refusal {
    let what = format!("the Kafka sink {} could not be changed: {failure}", settings.name);
    Refusal::new(Kind::Unreachable, what, "look with: pgtape doctor; then try again")
}

/// Records of the progress topic, and what they mean.
struct Written {
    records: Vec<(String, Option<Vec<u8>>)>,
    obeyed: Obeyed,
}

fn plan(settings: &Settings, tape_dir: &Path, keys: &Keys, found: &Found, order: &Order) -> Result<Written, Refusal> {
    let stands = progress_of(found)?;
    let before = stands.as_ref().map(|progress| progress.position);
    let whole = |obeyed: Obeyed, records| Ok(Written { records, obeyed: Obeyed { before, ..obeyed } });
    match order {
        Order::Reset => {
            let notes = found.notes.keys().map(|key| (keys.note(key), None));
            whole(Obeyed::default(), notes.chain([(keys.progress().to_owned(), None)]).collect())
        }
        Order::Forget { topic } => {
            let note = format!("{TOPIC_NOTE}{topic}");
            if !found.notes.contains_key(&note) {
                let what = format!("the Kafka sink {} has put nothing into a topic {topic}", settings.name);
                let known: Vec<&str> = super::begin::noted_topics(found).collect();
                return Err(Refusal::new(Kind::Usage, what, format!("there are {}", known.join(", "))));
            }
            whole(Obeyed { after: before, ..Obeyed::default() }, vec![(keys.note(&note), None)])
        }
        Order::Move { to } => {
            let info = tape::info(tape_dir).map_err(tape::Error::into_refusal)?;
            info.refuse_outside(*to)?;
            let position = Position::whole(*to);
            let identity = (&info.origin).into();
            let from = stands.unwrap_or_else(|| super::stand::beginning(identity, position, info.epoch));
            let moves = from.moves + 1;
            let moved = Progress { position, moves, copying: false, last_commit: None, ..from };
            let obeyed = Obeyed { after: Some(position), ..Obeyed::default() };
            whole(obeyed, vec![(keys.progress().to_owned(), Some(moved.encode()))])
        }
        Order::Resume { table, skip } => {
            let (records, resumed) = resume(settings, keys, found, table.as_ref(), *skip)?;
            whole(Obeyed { after: before, resumed, ..Obeyed::default() }, records)
        }
    }
}

type Records = Vec<(String, Option<Vec<u8>>)>;

fn resume(
    settings: &Settings,
    keys: &Keys,
    found: &Found,
    table: Option<&TableName>,
    skip: bool,
) -> Result<(Records, Vec<TableName>), Refusal> {
    let stopped = Stopped::of_notes(&found.notes).map_err(crate::sinks::Error::into_refusal)?;
    let meant = |stop: &crate::sinks::kafka::changes::Stop| table.is_none_or(|table| stop.table == *table);
    let stops: Vec<_> = stopped.all().into_iter().filter(meant).collect();
    if stops.is_empty() {
        let what = match table {
            Some(table) => format!("the topic of {table} has not stopped"),
            None => format!("no topic of the Kafka sink {} has stopped", settings.name),
        };
        return Err(Refusal::new(Kind::Usage, what, "look with: pgtape kafka show"));
    }
    let record = |stop: &crate::sinks::kafka::changes::Stop| {
        let value = if skip { None } else { Some(stop.resuming()) };
        (keys.note(&note_of(&stop.table)), value)
    };
    Ok((stops.iter().map(record).collect(), stops.into_iter().map(|stop| stop.table).collect()))
}

/// One transaction.
fn write(settings: &Settings, begun: &Begun, records: &Records) -> Result<(), Failure> {
    begun.producer.begin()?;
    for (key, value) in records {
        send(&begun.producer, &settings.progress_topic, key, value.as_deref())?;
    }
    begun.producer.flush(|| true)?;
    begun.producer.commit()
}

fn send(producer: &Producer, topic: &str, key: &str, value: Option<&[u8]>) -> Result<(), Failure> {
    while producer.send_plain(topic, key.as_bytes(), value)? == Sent::Full {}
    Ok(())
}
