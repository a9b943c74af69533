//! A schema registry of one's own: Apicurio on a free port of the loopback, its schemas in memory.
//!
//! Invariant: the port stays the same over `kill9` and `start_again`; the schemas do not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Error, Finished, Process, finish, free_port, get};
use crate::refusal::{Kind, Refusal};

/// A registry that needs longer than this is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked until then.
const READY_POLL: Duration = Duration::from_millis(100);
/// Options of the JVM.
const JVM: [&str; 4] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

/// The jars of registry and Avro's tools, as `deploy/kafka/kafka.sh fetch-registry` gets them.
#[derive(Debug, Clone)]
pub struct RegistryPrograms {
    folder: PathBuf,
}

impl RegistryPrograms {
    /// The jars in `folder`.
    ///
    /// # Errors
    /// A refusal that says what to install or to fetch.
    pub fn at(folder: impl Into<PathBuf>) -> Result<Self, Refusal> {
        let folder = folder.into();
        if Command::new("java").arg("-version").output().is_err() {
            let hint = "install it with: sudo apt-get install default-jre-headless maven";
            return Err(Refusal::new(Kind::Server, "this machine has no Java, which the registry runs on", hint));
        }
        if !folder.join(".complete").is_file() {
            let what = format!("there is no schema registry in {}", folder.display());
            return Err(Refusal::new(Kind::Server, what, "get it with: deploy/kafka/kafka.sh fetch-registry"));
        }
        Ok(Self { folder })
    }

    /// Reads values in Avro's binary form, one after the other in `data`, with Avro's own tools (Java; some seconds):
    /// JSON as Avro defines it, a line each.
    ///
    /// # Errors
    /// The tool cannot be started, or does not understand them; shows what it printed.
    pub fn read_avro(&self, schema: &str, data: &[u8]) -> Result<Vec<serde_json::Value>, Error> {
        let directory = temporary()?;
        for (name, bytes) in [("schema.avsc", schema.as_bytes()), ("data", data)] {
            std::fs::write(directory.path().join(name), bytes).map_err(Error::io(format!("write {name}")))?;
        }
        let mut command = Command::new("java");
        command.args(JVM).arg("-jar").arg(self.folder.join("tools/avro-tools.jar")).current_dir(directory.path());
        command.args(["fragtojson", "--no-pretty", "--schema-file", "schema.avsc", "data"]);
        let Finished { code, stdout, stderr } = finish(command)?;
        let lines: Result<Vec<_>, _> = serde_json::Deserializer::from_str(&stdout).into_iter().collect();
        match (code, lines) {
            (Some(0), Ok(values)) => Ok(values),
            _ => Err(Error::Program { what: "avro-tools failed".into(), output: stdout + &stderr }),
        }
    }

    fn registry(&self, directory: &Path, port: u16) -> Command {
        let mut command = Command::new("java");
        command.args(JVM).arg("-Dquarkus.http.host=127.0.0.1").arg(format!("-Dquarkus.http.port={port}"));
        // Without it the same schema with other blanks would be a new version.
        command.arg("-Dregistry.ccompat.use-canonical-hash=true");
        command.arg("-jar").arg(self.folder.join("runner.jar")).current_dir(directory);
        command
    }
}

/// A running registry; killed and removed on drop.
#[derive(Debug)]
pub struct PrivateRegistry {
    programs: RegistryPrograms,
    port: u16,
    process: Process,
    directory: TempDir,
}

impl PrivateRegistry {
    /// Starts one without schemas.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start(programs: RegistryPrograms) -> Result<Self, Error> {
        let directory = temporary()?;
        let port = free_port()?;
        let command = programs.registry(directory.path(), port);
        let process = Process::start("the schema registry", command, &directory.path().join("log"))?;
        let mut started = Self { programs, port, process, directory };
        started.wait_ready()?;
        Ok(started)
    }

    /// Where it is: Confluent's interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self) -> Result<(), Error> {
        self.process.kill9()
    }

    /// Starts it on the same port, without schemas, and returns when it is ready.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.process.start_again(self.programs.registry(self.directory.path(), self.port))?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let url = format!("{}/subjects", self.url());
        while !get(&url).is_ok_and(|reply| reply.status == 200) {
            if let Some(status) = self.process.ended()? {
                return Err(self.process.failure(&format!("ended with {status}")));
            }
            if started.elapsed() > READY_TIMEOUT {
                return Err(self.process.failure(&format!("was not ready within {} s", READY_TIMEOUT.as_secs())));
            }
            sleep(READY_POLL);
        }
        Ok(())
    }
}

fn temporary() -> Result<TempDir, Error> {
    let made = tempfile::Builder::new().prefix("pgtape-registry-").tempdir();
    made.map_err(Error::io("make a temporary directory"))
}
