//! Kafka sinks: moved, begun anew, let go on.

use serde_json::json;

use super::{Command, Plan, when};
use crate::config::Config;
use crate::config::kafka::{Kafka, Truncate};
use crate::model::{Position, TableName};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::sinks::kafka::topic;
use crate::tape;

/// The configured sink called `name`.
pub fn named<'a>(config: &'a Config, name: &str) -> Result<&'a Kafka, Refusal> {
    config.kafka.iter().find(|sink| sink.name == name).ok_or_else(|| {
        let names: Vec<&str> = config.kafka.iter().map(|sink| sink.name.as_str()).collect();
        let hint = match names.is_empty() {
            true => "no [[kafka]] is configured: give the same --config as to `pgtape run`".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        Refusal::new(Kind::Usage, format!("'{name}' is not a Kafka sink"), hint)
    })
}

/// An order as typed.
#[derive(Debug, Clone)]
pub enum Typed {
    /// `move --to`.
    Move(String),
    /// `reset`.
    Reset,
    /// `forget --topic`.
    Forget(String),
    /// `resume --table --skip`.
    Resume(Option<String>, bool),
}

/// `pgtape kafka move|reset|forget|resume`.
pub struct Change<'a, F> {
    /// Names the sinks, and the tape that times are looked up on.
    pub config: &'a Config,
    /// The sink.
    pub name: &'a str,
    /// What is wanted.
    pub typed: Typed,
    /// Has it obeyed: by the service, or alone.
    pub obey: F,
}

impl<F: AsyncFn(Order) -> Result<Obeyed, Refusal>> Change<'_, F> {
    fn order(&self) -> Result<Order, Refusal> {
        Ok(match &self.typed {
            Typed::Move(to) => Order::Move { to: when::position(&self.config.tape.dir, to)?.lsn },
            Typed::Reset => Order::Reset,
            Typed::Forget(topic) => Order::Forget { topic: topic.clone() },
            Typed::Resume(table, skip) => {
                let parse = |name: &String| {
                    let what = format!("'{name}' is not a table");
                    TableName::parse(name).ok_or_else(|| Refusal::new(Kind::Usage, what, "write schema.table"))
                };
                Order::Resume { table: table.as_ref().map(parse).transpose()?, skip: *skip }
            }
        })
    }
}

impl<F: AsyncFn(Order) -> Result<Obeyed, Refusal>> Command for Change<'_, F> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let sink = named(self.config, self.name)?;
        let order = self.order()?;
        let name = self.name;
        let (verb, steps, consequences) = match &order {
            Order::Move { to } => {
                let info = tape::info(&self.config.tape.dir).map_err(tape::Error::into_refusal)?;
                info.refuse_outside(*to)?;
                let to = Position::whole(*to);
                let repeats = "commits after it that were produced before are produced again, with the same \
                     pgtape.position; commits up to it that were not, never are";
                let mut consequences = vec![repeats.to_owned()];
                if sink.form.truncate == Truncate::Deletes {
                    let stops = "topics of tables that were emptied after it stop, unless a checkpoint of the standby \
                         is old enough to tell the rows";
                    consequences.push(stops.into());
                }
                ("move", vec![format!("set the position of {name} to {to}, in Kafka")], consequences)
            }
            Order::Reset => {
                let again = match sink.initial {
                    crate::config::kafka::Initial::Copy => {
                        "all rows are produced again as `r`; rows that were deleted and not yet produced stay downstream: \
                         empty what was made of the topics first"
                    }
                    crate::config::kafka::Initial::Earliest => "everything on the tape is produced again",
                    crate::config::kafka::Initial::Now => "what was not produced yet never is",
                };
                ("reset", vec![format!("remove progress and notes of {name} from Kafka")], vec![again.to_owned()])
            }
            Order::Forget { topic } => {
                let steps = vec![format!("let {name} make the topic {topic} again when there is something for it")];
                ("forget", steps, vec![format!("what {topic} held is not produced again: see kafka move")])
            }
            Order::Resume { table, skip } => {
                let which = table.as_ref().map_or("every stopped topic".to_owned(), |t| format!("the topic of {t}"));
                match skip {
                    true => {
                        let lost = "what they missed since they stopped is never produced".to_owned();
                        ("resume", vec![format!("let {which} go on from now")], vec![lost])
                    }
                    false => {
                        let steps = vec![format!("produce what {which} missed, then let it go on")];
                        let again = "with truncate = \"stop\" it stops again at the next TRUNCATE in what it missed";
                        ("resume", steps, vec![again.to_owned()])
                    }
                }
            }
        };
        Ok(Plan {
            command: format!("kafka {verb}"),
            steps,
            consequences,
            obstacle: None,
            detail: json!({"sink": name, "order": order.to_string()}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        (self.obey)(self.order()?).await.map(drop)
    }
}

/// A part of the tape that is produced once more.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The sink whose tables, form and brokers are used.
    pub sink: String,
    /// Everything after here.
    pub from: crate::model::Lsn,
    /// Up to here.
    pub to: crate::model::Lsn,
    /// Appended to the names of topics.
    pub suffix: String,
}

/// `pgtape kafka replay`.
pub struct Replay<'a, F> {
    /// What is replayed.
    pub work: &'a Stretch,
    /// Does it.
    pub run: F,
}

impl<F: AsyncFn(Stretch) -> Result<u64, Refusal>> Command for Replay<'_, F> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let Stretch { sink, from, to, suffix } = self.work;
        if topic::allowed(suffix) != *suffix {
            let what = format!("'{suffix}' cannot end the name of a topic");
            return Err(Refusal::new(Kind::Usage, what, "letters, digits, '.', '_' and '-' can"));
        }
        let where_to = match suffix.as_str() {
            "" => "to the topics of the sink".to_owned(),
            suffix => format!("to the topics of the sink with '{suffix}' appended"),
        };
        let again = "who reads those topics gets records once more, with the same pgtape.position".to_owned();
        let appended =
            "topics of these names that are there already are appended to: what was replayed into them before \
             is there twice, with the same pgtape.position"
                .to_owned();
        Ok(Plan {
            command: "kafka replay".into(),
            steps: vec![format!("produce what the tape holds after {from} up to {to} as {sink} does, {where_to}")],
            consequences: vec![if suffix.is_empty() { again } else { appended }],
            obstacle: None,
            detail: json!({"sink": sink, "from": from, "to": to, "topic_suffix": suffix}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let records = (self.run)(self.work.clone()).await?;
        tracing::info!(records, "replayed");
        Ok(())
    }
}
