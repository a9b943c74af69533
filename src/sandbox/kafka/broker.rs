//! A broker for who only talks to it: one of one's own, one of a container engine, or one that runs already.
//!
//! Invariant: it is empty at the start, and nobody else of this process has it. One that runs already is refused when it has
//! topics, and all topics are deleted from it in the end.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::{Error, Place};
use super::{KafkaPrograms, KafkaTools, PrivateKafka, programs, temporary};
use crate::refusal::{Kind, Refusal};

/// Who has the broker that runs already.
static GIVEN: Mutex<()> = Mutex::new(());
/// How long a broker may take to delete topics.
const DELETED_TIMEOUT: Duration = Duration::from_secs(30);
const DELETED_POLL: Duration = Duration::from_millis(100);

/// A running broker without topics; its own end, or that of its topics, on drop.
#[derive(Debug)]
pub struct KafkaBroker {
    tools: KafkaTools,
    /// Whether it goes on without us.
    runs_on: bool,
    /// What ends with it.
    _held: Box<dyn fmt::Debug>,
}

impl KafkaBroker {
    /// Starts it, or takes the one at the address; the tools are of `programs`.
    ///
    /// # Errors
    /// It did not start, or the one that runs has topics.
    pub fn start(place: &Place, programs: KafkaPrograms) -> Result<Self, Error> {
        match place {
            Place::Local => {
                let private = PrivateKafka::start(programs)?;
                Ok(Self { tools: private.tools().clone(), runs_on: false, _held: Box::new(private) })
            }
            Place::Container => container(programs),
            Place::Address(bootstrap) => {
                let alone = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
                let (tools, directory) = tools(programs, bootstrap.clone())?;
                let topics = tools.topics()?;
                if let Some(topic) = topics.first() {
                    let what = format!("the broker at {bootstrap} has topics ({topic}), and would lose them");
                    let hint = "name one without topics, or delete them";
                    return Err(Refusal::new(Kind::Usage, what, hint).into());
                }
                Ok(Self { tools, runs_on: true, _held: Box::new((alone, directory)) })
            }
        }
    }

    /// `bootstrap.servers` of a client.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.tools.bootstrap().to_owned()
    }

    /// Kafka's own tools, and readers.
    #[must_use]
    pub fn tools(&self) -> &KafkaTools {
        &self.tools
    }

    fn empty(&self) -> Result<(), Error> {
        let topics: Vec<_> = self.tools.topics()?.iter().map(|topic| topic.replace('.', r"\.")).collect();
        if topics.is_empty() {
            return Ok(());
        }
        self.tools.run("TopicCommand", &["--delete", "--topic", &topics.join("|")])?;
        let started = Instant::now();
        while !self.tools.topics()?.is_empty() && started.elapsed() < DELETED_TIMEOUT {
            sleep(DELETED_POLL);
        }
        Ok(())
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        if self.runs_on
            && let Err(error) = self.empty()
        {
            eprintln!("topics are left at {}: {error}", self.bootstrap());
        }
    }
}

fn tools(programs: KafkaPrograms, bootstrap: String) -> Result<(KafkaTools, TempDir), Error> {
    let directory = temporary()?;
    programs::prepare(directory.path())?;
    Ok((KafkaTools::new(programs, directory.path(), bootstrap), directory))
}

#[cfg(feature = "container")]
fn container(programs: KafkaPrograms) -> Result<KafkaBroker, Error> {
    let container = super::container::Container::start()?;
    let (tools, directory) = tools(programs, container.bootstrap())?;
    Ok(KafkaBroker { tools, runs_on: false, _held: Box::new((container, directory)) })
}

#[cfg(not(feature = "container"))]
fn container(_programs: KafkaPrograms) -> Result<KafkaBroker, Error> {
    Err(super::super::database::without_containers())
}
