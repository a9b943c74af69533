//! A Kafka broker of one's own: one KRaft node on free ports of the loopback, its files in a temporary directory.
//!
//! Invariant: the ports stay the same over `kill9` and `start_again`, so that clients come back to it.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use super::{Error, Finished, Process, finish, free_port};
use crate::refusal::{Kind, Refusal};

/// A broker that needs longer than this to listen (its recovery included) is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked at until then.
const READY_POLL: Duration = Duration::from_millis(50);
/// What every private broker runs with, but for its ports and its folder.
const SETTINGS: &str = include_str!("../../deploy/kafka/server.properties");
/// What it logs.
const LOGGING: &str = include_str!("../../deploy/kafka/log4j2.properties");
/// Options of every JVM: the broker's, and the tools', which live a second.
const JVM: [&str; 2] = ["-XX:+UseSerialGC", "-Xmx512m"];

/// The jars of broker and tools, as `deploy/kafka/kafka.sh fetch` gets them.
#[derive(Debug, Clone)]
pub struct KafkaPrograms {
    jars: PathBuf,
}

impl KafkaPrograms {
    /// The jars in `folder`.
    ///
    /// # Errors
    /// A refusal that says what to install or to fetch.
    pub fn at(folder: impl Into<PathBuf>) -> Result<Self, Refusal> {
        let jars = folder.into();
        if Command::new("java").arg("-version").output().is_err() {
            let hint = "install it with: sudo apt-get install default-jre-headless maven";
            return Err(Refusal::new(Kind::Server, "this machine has no Java, which Kafka runs on", hint));
        }
        if !jars.join(".complete").is_file() {
            let what = format!("there is no Kafka in {}", jars.display());
            return Err(Refusal::new(Kind::Server, what, "get it with: deploy/kafka/kafka.sh fetch"));
        }
        Ok(Self { jars })
    }

    /// A main class of Kafka, with its files in `directory`.
    fn java(&self, directory: &Path, class: &str) -> Command {
        let mut command = Command::new("java");
        let logging = directory.join("log4j2.properties");
        command.args(JVM).arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.arg("-cp").arg(self.jars.join("*")).arg(class).current_dir(directory);
        command
    }
}

/// A running broker; killed and removed on drop.
#[derive(Debug)]
pub struct PrivateKafka {
    programs: KafkaPrograms,
    directory: TempDir,
    port: u16,
    process: Process,
}

impl PrivateKafka {
    /// Makes and starts a broker without topics.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start(programs: KafkaPrograms) -> Result<Self, Error> {
        let made = tempfile::Builder::new().prefix("pgtape-kafka-").tempdir();
        let directory = made.map_err(Error::io("make a temporary directory"))?;
        let (port, controller) = (free_port()?, free_port()?);
        write(directory.path(), "log4j2.properties", LOGGING)?;
        write(directory.path(), "server.properties", &settings(directory.path(), port, controller))?;
        format_storage(&programs, directory.path())?;
        let process = Process::start("Kafka", broker(&programs, directory.path()), &directory.path().join("log"))?;
        let mut started = Self { programs, directory, port, process };
        started.wait_ready()?;
        Ok(started)
    }

    /// `bootstrap.servers` of a client.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self) -> Result<(), Error> {
        self.process.kill9()
    }

    /// Starts it on the same files and ports, and returns when it listens.
    ///
    /// # Errors
    /// It did not; shows its log.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.process.start_again(broker(&self.programs, self.directory.path()))?;
        self.wait_ready()
    }

    /// Runs one of Kafka's own tools (`TopicCommand`, `consumer.ConsoleConsumer`) against the broker, to its end.
    ///
    /// # Errors
    /// It cannot be started, or fails; shows what it printed.
    pub fn tool(&self, class: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Finished, Error> {
        let mut command = self.programs.java(self.directory.path(), &format!("org.apache.kafka.tools.{class}"));
        command.args(["--bootstrap-server", &self.bootstrap()]).args(arguments);
        succeeded(class, command)
    }

    fn wait_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.process.ended()? {
                return Err(self.process.failure(&format!("ended with {status}")));
            }
            if started.elapsed() > READY_TIMEOUT {
                return Err(self.process.failure(&format!("did not listen within {} s", READY_TIMEOUT.as_secs())));
            }
            sleep(READY_POLL);
        }
        Ok(())
    }
}

fn broker(programs: &KafkaPrograms, directory: &Path) -> Command {
    let mut command = programs.java(directory, "kafka.Kafka");
    command.arg("server.properties");
    command
}

fn settings(directory: &Path, port: u16, controller: u16) -> String {
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    format!(
        "{SETTINGS}listeners={listeners}\nadvertised.listeners={listeners}\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\nlog.dirs={}\n",
        directory.join("data").display()
    )
}

/// What a broker's folder needs once, before its first start.
fn format_storage(programs: &KafkaPrograms, directory: &Path) -> Result<(), Error> {
    let random = || URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes());
    // One that begins with a dash would be taken for an option.
    let cluster = std::iter::repeat_with(random).find(|id| !id.starts_with('-')).expect("repeats for ever");
    let mut command = programs.java(directory, "kafka.tools.StorageTool");
    command.args(["format", "--standalone", "-t", &cluster, "-c", "server.properties"]);
    succeeded("StorageTool", command).map(|_finished| ())
}

fn succeeded(what: &str, command: Command) -> Result<Finished, Error> {
    let finished = finish(command)?;
    if finished.code == Some(0) {
        return Ok(finished);
    }
    Err(Error::Program { what: format!("{what} failed"), output: finished.stdout + &finished.stderr })
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    std::fs::write(directory.join(name), text).map_err(Error::io(format!("write {name}")))
}
