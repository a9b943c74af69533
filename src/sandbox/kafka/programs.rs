//! The programs that brokers, and those who look at them, are made of: Kafka's jars on Java, `kcat`, `openssl`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{Error, Finished, finish};
use crate::refusal::{Kind, Refusal};

/// What every JVM of ours logs.
const LOGGING: &str = include_str!("../../../deploy/kafka/log4j2.properties");
/// The file it stands in.
const LOGGING_FILE: &str = "log4j2.properties";
/// Options of every JVM; without the last it leaves a file of statistics behind when it is killed.
const JVM: [&str; 2] = ["-XX:+UseSerialGC", "-XX:-UsePerfData"];
/// Options of the tools' JVMs, which live a second.
const JVM_OF_TOOLS: [&str; 2] = ["-Xmx256m", "-XX:TieredStopAtLevel=1"];

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
        let jars: PathBuf = folder.into();
        // Its programs run in folders of their own.
        let jars = std::path::absolute(&jars).unwrap_or(jars);
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

    /// A main class of Kafka, run in `directory`, which [`prepare`] has prepared.
    pub(super) fn java(&self, directory: &Path, class: &str, options: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("java");
        command.args(JVM).args(options).arg(format!("-Dlog4j2.configurationFile={LOGGING_FILE}"));
        command.arg("-cp").arg(self.jars.join("*")).arg(class).current_dir(directory);
        command
    }

    /// One that lives for a moment.
    pub(super) fn tool(&self, directory: &Path, class: &str) -> Command {
        self.java(directory, class, &JVM_OF_TOOLS)
    }
}

/// Gives `directory` what JVMs need there.
pub(super) fn prepare(directory: &Path) -> Result<(), Error> {
    write(directory, LOGGING_FILE, LOGGING)
}

/// Runs it to its end, which must be a good one.
pub(super) fn succeeded(what: &str, command: Command) -> Result<Finished, Error> {
    let finished = finish(command)?;
    if finished.code == Some(0) {
        return Ok(finished);
    }
    Err(Error::Program { what: format!("{what} failed"), output: finished.stdout + &finished.stderr })
}

/// The same, for one that prints bytes.
pub(super) fn succeeded_raw(what: &str, mut command: Command) -> Result<Vec<u8>, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::io(format!("start {what}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Program { what: format!("{what} failed"), output: complaint })
}

/// A refusal unless `program`, of the Debian package `package`, can be run.
pub(super) fn need(program: &str, package: &str) -> Result<(), Refusal> {
    if Command::new(program).arg("--help").output().is_ok() {
        return Ok(());
    }
    let hint = format!("install it with: sudo apt-get install {package}");
    Err(Refusal::new(Kind::Server, format!("this machine has no {program}"), hint))
}

/// Writes a small file of ours.
pub(super) fn write(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    std::fs::write(directory.join(name), text).map_err(Error::io(format!("write {name}")))
}
