//! Kafka's own tools, and the two readers, for one broker or cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::{Error, Finished, finish};
use super::programs::{KafkaPrograms, succeeded};
use super::reader::{KafkaReader, Record, console};

/// Programs that look at a broker; not ours.
#[derive(Debug, Clone)]
pub struct KafkaTools {
    programs: KafkaPrograms,
    directory: PathBuf,
    reader: KafkaReader,
}

impl KafkaTools {
    /// Those that run in `directory` and go to `bootstrap`.
    pub(super) fn new(programs: KafkaPrograms, directory: &Path, bootstrap: String) -> Self {
        Self { programs, directory: directory.to_owned(), reader: KafkaReader::new(bootstrap) }
    }

    /// Where they go to.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.reader.bootstrap()
    }

    /// Runs one of Kafka's own tools (`TopicCommand`, `GetOffsetShell`) to its end.
    ///
    /// # Errors
    /// It cannot be started, or fails; shows what it printed.
    pub fn run(&self, class: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Finished, Error> {
        succeeded(class, self.command(class, arguments))
    }

    /// The same, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn try_run(&self, class: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Finished, Error> {
        finish(self.command(class, arguments))
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// The broker refused it; shows why.
    pub fn create_topic(&self, topic: &str, partitions: u32, configs: &[&str]) -> Result<(), Error> {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(configs.iter().flat_map(|config| ["--config", config]));
        self.run("TopicCommand", &arguments).map(|_finished| ())
    }

    /// The names of all topics but the broker's own.
    ///
    /// # Errors
    /// There is no kcat, or the broker did not answer.
    pub fn topics(&self) -> Result<Vec<String>, Error> {
        self.reader.topics()
    }

    /// All committed records of a topic up to its end, by partition and offset, as `kcat` reads them (librdkafka of the
    /// distribution; a second).
    ///
    /// # Errors
    /// There is no kcat, no broker or no topic.
    pub fn read(&self, topic: &str) -> Result<Vec<Record>, Error> {
        self.reader.read(topic)
    }

    /// The same, as Kafka's own console consumer reads them (Java; some ten seconds).
    ///
    /// # Errors
    /// It failed, or a transaction is still open after minutes.
    pub fn read_with_java(&self, topic: &str) -> Result<Vec<Record>, Error> {
        console::read(self, topic)
    }

    fn command(&self, class: &str, arguments: &[impl AsRef<OsStr>]) -> std::process::Command {
        let mut command = self.programs.tool(&self.directory, &format!("org.apache.kafka.tools.{class}"));
        command.args(["--bootstrap-server", self.bootstrap()]).args(arguments);
        command
    }
}
