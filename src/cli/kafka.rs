//! `pgtape kafka`: Kafka sinks, looked at and steered.

use std::time::Duration;

use super::consent::{Consent, Terminal, tell};
use super::{Context, blocking, client, version};
use crate::config::Config;
use crate::model::Position;
use crate::ops::{self, kafka as orders, when};
use crate::refusal::{Kind, Refusal};
use crate::run;
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::tape;

/// The service obeys between two Kafka transactions.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say what Kafka holds of each sink: progress, topics, what has stopped
    Show,
    /// Produce everything after a position again, or nothing up to it
    Move {
        /// The sink, as in [[kafka]]
        name: String,
        /// 0/16B3748, 00000000016B3748.0000000003, an RFC 3339 time (one to come is the tape's end), or oldest
        #[arg(long, value_name = "POSITION")]
        to: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Forget progress: the sink begins anew, as `initial` says
    Reset {
        /// The sink, as in [[kafka]]
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// A topic that was deleted may be gone: it is made again when there is something for it
    Forget {
        /// The sink, as in [[kafka]]
        name: String,
        /// The topic
        #[arg(long)]
        topic: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Let topics that have stopped go on, with what they missed
    Resume {
        /// The sink, as in [[kafka]]
        name: String,
        /// That of one table; without it, all
        #[arg(long, value_name = "SCHEMA.TABLE")]
        table: Option<String>,
        /// Go on from now, without what they missed
        #[arg(long)]
        skip: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Produce a part of the tape once more, to the same topics or to others; the sink stays where it is
    Replay {
        /// The sink, as in [[kafka]]: its tables, form and brokers
        name: String,
        /// Everything after this: 0/16B3748, 00000000016B3748.0000000003, an RFC 3339 time, or oldest
        #[arg(long, value_name = "POSITION")]
        from: String,
        /// Up to here; without it, up to the tape's end
        #[arg(long, value_name = "POSITION")]
        to: Option<String>,
        /// Appended to the names of topics
        #[arg(long, value_name = "TEXT")]
        topic_suffix: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let (config, out) = (&context.config, context.out);
    let (name, typed, consent) = match verb {
        Verb::Show => {
            if config.kafka.is_empty() {
                let hint = "give the same --config as to `pgtape run`";
                return Err(Refusal::new(Kind::Usage, "no [[kafka]] is configured", hint));
            }
            let shown = run::kafka_show(config, version::text()).await?;
            out.result(&shown, || shown.to_string());
            return Ok(());
        }
        Verb::Replay { name, from, to, topic_suffix, consent } => {
            let replay = replay(config, &name, &from, to.as_deref(), topic_suffix)?;
            let command = ops::kafka::Replay {
                work: &replay,
                run: async |replay| run::kafka_replay(config, version::text(), &replay).await,
            };
            tell(&ops::perform(&command, &consent.terms(), &Terminal(out), config).await?, out);
            return Ok(());
        }
        Verb::Move { name, to, consent } => (name, orders::Typed::Move(to), consent),
        Verb::Reset { name, consent } => (name, orders::Typed::Reset, consent),
        Verb::Forget { name, topic, consent } => (name, orders::Typed::Forget(topic), consent),
        Verb::Resume { name, table, skip, consent } => (name, orders::Typed::Resume(table, skip), consent),
    };
    let reason = consent.reason.clone().unwrap_or_default();
    let obey = async |order: Order| obey(config, &name, order, &reason).await;
    let command = orders::Change { config, name: &name, typed, obey };
    tell(&ops::perform(&command, &consent.terms(), &Terminal(out), config).await?, out);
    Ok(())
}

/// By the running service, or alone where none has the data directory.
async fn obey(config: &Config, name: &str, order: Order, reason: &str) -> Result<Obeyed, Refusal> {
    if tape::refuse_if_locked(&config.tape.dir).is_ok() {
        return run::kafka_obey(config, version::text(), name, order).await;
    }
    let path = format!("/v1/kafka/{name}/{}", path_of(&order));
    let (config, reason) = (config.clone(), reason.to_owned());
    let answer = blocking(move || client::post_with_reason(&config, &path, &reason, TIMEOUT)).await?;
    if answer.status != 200 {
        return Err(client::refusal(&answer));
    }
    Ok(Obeyed::default())
}

fn path_of(order: &Order) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    match order {
        Order::Move { to } => format!("move?to={}", Position::whole(*to)),
        Order::Reset => "reset".into(),
        Order::Forget { topic } => format!("forget?topic={}", encode(topic)),
        Order::Resume { table, skip } => {
            let table = table.as_ref().map(|table| format!("&table={}", encode(&table.to_string())));
            format!("resume?skip={skip}{}", table.unwrap_or_default())
        }
    }
}

fn replay(
    config: &Config,
    name: &str,
    from: &str,
    to: Option<&str>,
    suffix: Option<String>,
) -> Result<ops::kafka::Stretch, Refusal> {
    let sink = orders::named(config, name)?;
    let dir = &config.tape.dir;
    let info = tape::info(dir).map_err(tape::Error::into_refusal)?;
    let from = when::position(dir, from)?;
    let to = to.map(|to| when::position(dir, to)).transpose()?.unwrap_or(Position::whole(info.newest));
    if from.lsn >= to.lsn || from.lsn < info.oldest || to.lsn > info.newest {
        let what = format!("there is nothing on the tape between {from} and {to}");
        let hint = format!("it goes from {} to {}", Position::whole(info.oldest), Position::whole(info.newest));
        return Err(Refusal::new(Kind::Usage, what, hint));
    }
    Ok(ops::kafka::Stretch { sink: sink.name.clone(), from: from.lsn, to: to.lsn, suffix: suffix.unwrap_or_default() })
}
