//! The real `pgtape run` as a process: killed, started again on the same data directory and port, asked over HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Error, Finished, Process, Reply, finish, free_port, get};

/// How often `/readyz` is asked.
const READY_POLL: Duration = Duration::from_millis(20);

/// What our own environment may say about another pgtape.
const INHERITED: [&str; 5] =
    ["PGTAPE_CONFIG", "PGTAPE_TABLES", "PGTAPE_PASSWORD", "PGTAPE_KAFKA_PASSWORD", "PGTAPE_FAILPOINTS"];

/// How a service is started; the same for each of its lives.
#[derive(Debug, Clone)]
pub struct Service {
    /// The program `pgtape`.
    pub program: PathBuf,
    /// The server to follow.
    pub url: String,
    /// `--tables`; `None`: the program's default, the five engines.
    pub tables: Option<String>,
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// Where what the service prints goes.
    pub log: PathBuf,
    /// `--config`; `None`: the program's defaults.
    pub config: Option<PathBuf>,
    /// Arguments after `run`.
    pub arguments: Vec<String>,
    /// Environment of this service only.
    pub environment: Vec<(String, String)>,
    /// `--listen` on 127.0.0.1.
    pub port: u16,
}

impl Service {
    /// A service on a free port with nothing special.
    ///
    /// # Errors
    /// There is no free port.
    pub fn new(program: impl Into<PathBuf>, url: &str, data_dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            program: program.into(),
            url: url.to_owned(),
            tables: None,
            data_dir: data_dir.to_owned(),
            log: data_dir.with_extension("log"),
            config: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            port: free_port()?,
        })
    }

    /// With these tables.
    #[must_use]
    pub fn tables(mut self, tables: &str) -> Self {
        self.tables = Some(tables.to_owned());
        self
    }

    /// With this configuration file, written beside the data directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn config(mut self, text: &str) -> Result<Self, Error> {
        let path = self.log.with_extension("toml");
        std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        self.config = Some(path);
        Ok(self)
    }

    /// With one more argument to `run`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With one more environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `pgtape VERB...` with the same server, tables, directory and address as the service.
    #[must_use]
    pub fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(verb);
        for name in INHERITED {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("PGTAPE_URL", &self.url).env("PGTAPE_DATA_DIR", &self.data_dir);
        command.env("PGTAPE_LISTEN", format!("127.0.0.1:{}", self.port));
        if let Some(config) = &self.config {
            command.env("PGTAPE_CONFIG", config);
        }
        if let Some(tables) = &self.tables {
            command.env("PGTAPE_TABLES", tables);
        }
        command
    }

    /// Runs `pgtape VERB...` to its end.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn finish(&self, verb: &[&str]) -> Result<Finished, Error> {
        finish(self.command(verb))
    }

    /// The address of a path of its HTTP interface.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// A running service.
#[derive(Debug)]
pub struct ServiceProcess {
    service: Service,
    process: Process,
}

impl ServiceProcess {
    /// Starts it; see [`Self::wait_ready`].
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(service: Service) -> Result<Self, Error> {
        let process = Process::start("pgtape run", run(&service), &service.log)?;
        Ok(Self { service, process })
    }

    /// How it was started.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The process: kill it, signal it, wait for it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The end of what it printed, over all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Kills it with SIGKILL and returns when it is gone.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self) -> Result<(), Error> {
        self.process.kill9()
    }

    /// Starts it again, killing the one that runs.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.process.start_again(run(&self.service))
    }

    /// From its next start on it is started this way.
    pub fn set(&mut self, service: Service) {
        self.service = service;
    }

    /// Starts it again in another way, killing the one that runs.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_as(&mut self, service: Service) -> Result<(), Error> {
        self.service = service;
        self.start_again()
    }

    /// Asks it to end with SIGTERM; `None` when it had ended before.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Option<ExitStatus>, Error> {
        self.process.terminate(limit)
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// The service ended, or is not ready after `limit`; shows what it printed and the last reason it gave.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<(), Error> {
        let started = Instant::now();
        let mut reason = String::from("no answer");
        while started.elapsed() < limit {
            match self.get("/readyz") {
                Ok(reply) if reply.status == 200 => return Ok(()),
                Ok(reply) => reason = reply.body,
                Err(error) => reason = error.to_string(),
            }
            if let Some(status) = self.process.ended()? {
                return Err(self.process.failure(&format!("ended with {status}")));
            }
            sleep(READY_POLL);
        }
        Err(self.process.failure(&format!("was not ready after {} s: {reason}", limit.as_secs())))
    }

    /// GET of a path of its HTTP interface.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn get(&self, path: &str) -> Result<Reply, Error> {
        get(&self.service.http(path))
    }
}

fn run(service: &Service) -> Command {
    let mut command = service.command(&["run"]);
    command.args(&service.arguments);
    command
}
