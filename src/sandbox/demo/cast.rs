//! The processes on the stage: Postgres, the service, five engines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::engines::Name;
use crate::refusal::{Kind, Refusal};
use crate::sandbox::{Error, Options, PrivatePostgres, Process, Service, ServiceProcess, finish};

use super::broker::Broker;
use super::screen::Screen;
use super::{SECONDS_MIN, Settings};

/// The first copy of empty tables, or a recovery, takes far less.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(60);
/// Engines end by themselves when their time is over, at most this much later.
const CURTAIN_LIMIT: Duration = Duration::from_secs(30);

/// A Postgres that bounds what a slot may keep, and whose commits are durable.
const POSTGRES: &[(&str, &str)] = &[("fsync", "on"), ("max_slot_wal_keep_size", "2GB")];

/// All who play.
pub(super) struct Cast {
    // Dropped in this order: engines, service, Postgres, files.
    pub(super) engines: Vec<Engine>,
    pub(super) service: ServiceProcess,
    pub(super) postgres: PrivatePostgres,
    pub(super) kafka: Option<Broker>,
    pub(super) records: PathBuf,
    _files: TempDir,
}

/// A simulated engine as a process.
pub(super) struct Engine {
    pub(super) name: Name,
    process: Process,
    /// Without `--seconds` and `--rehydrate`.
    command: Vec<String>,
    ends: Instant,
}

impl Cast {
    /// Starts everybody and returns when the service is ready and the engines work.
    pub(super) fn assemble(settings: &Settings, screen: &mut Screen) -> Result<Self, Error> {
        if settings.seconds < SECONDS_MIN {
            let what = format!("a demo of {} s has no room for its kills", settings.seconds);
            return Err(Refusal::new(Kind::Usage, what, format!("give it --seconds {SECONDS_MIN} or more")).into());
        }
        let files = tempfile::Builder::new().prefix("pgtape-demo-").tempdir();
        let files = files.map_err(Error::io("make a temporary directory"))?;
        let postgres = PrivatePostgres::start(Options { settings: POSTGRES, ..Options::default() })?;
        if settings.kafka.is_some() {
            screen.event("looking for a Kafka broker");
        }
        let kafka = settings.kafka.clone().map(Broker::of).transpose()?;
        if let Some(kafka) = &kafka {
            screen.event(&format!("topics at {} begin with {}.", kafka.reader().bootstrap(), kafka.prefix()));
        }
        screen.event("applying the schemas of the five engines");
        let mut service = service(settings, &postgres.url(), kafka.as_ref(), files.path())?;
        let migrated = service.finish(&["migrate", "up"])?;
        if migrated.code != Some(0) {
            return Err(Error::Program { what: "pgtape migrate up failed".into(), output: migrated.stderr });
        }
        screen.event("starting the service");
        service.environment.push(("NO_COLOR".into(), "1".into()));
        let mut service = ServiceProcess::start(service)?;
        service.wait_ready(READY_LIMIT)?;
        screen.event("starting the engines");
        let records = files.path().join("records");
        let mut cast = Self { engines: Vec::new(), service, postgres, kafka, records, _files: files };
        for name in Name::ALL {
            let engine = Engine::start(name, settings, &cast)?;
            cast.engines.push(engine);
        }
        Ok(cast)
    }

    /// Nobody left the stage uncalled.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        if let Some(status) = self.service.process().ended()? {
            return Err(self.service.process().failure(&format!("ended with {status}")));
        }
        for engine in &mut self.engines {
            if let Some(status) = engine.process.ended()?.filter(|status| !status.success()) {
                return Err(engine.process.failure(&format!("ended with {status}")));
            }
        }
        Ok(())
    }

    /// Waits until the engines' time is over.
    pub(super) fn finish_engines(&mut self) -> Result<(), Error> {
        for engine in &mut self.engines {
            if engine.process.pid().is_none() {
                continue;
            }
            let left = engine.ends.saturating_duration_since(Instant::now());
            let status = engine.process.wait(left + CURTAIN_LIMIT)?;
            if !status.success() {
                return Err(engine.process.failure(&format!("ended with {status}")));
            }
        }
        Ok(())
    }
}

impl Engine {
    fn start(name: Name, settings: &Settings, cast: &Cast) -> Result<Self, Error> {
        let numbers = (settings.rate.to_string(), settings.seed.to_string());
        let records = cast.records.display().to_string();
        let words = ["simulate", "--engines", name.schema(), "--rate", &numbers.0, "--seed", &numbers.1];
        let command: Vec<String> = words.iter().chain(&["--record-dir", &records]).map(|&w| w.to_owned()).collect();
        let ends = Instant::now() + Duration::from_secs(settings.seconds);
        let log = cast.service.service().log.with_file_name(format!("{name}.log"));
        let first = summon(&command, settings.seconds, cast.service.service(), false);
        let process = Process::start(&format!("engine {name}"), first, &log)?;
        Ok(Self { name, process, command, ends })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Kills it with SIGKILL and starts it again for the rest of its time: it rehydrates from the service.
    pub(super) fn kill9_and_start(&mut self, service: &Service) -> Result<(), Error> {
        self.process.kill9()?;
        let left = self.ends.saturating_duration_since(Instant::now()).as_secs().max(1);
        self.process.start_again(summon(&self.command, left, service, true))
    }
}

fn summon(words: &[String], seconds: u64, service: &Service, rehydrate: bool) -> Command {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = service.command(&words);
    command.args(["--seconds", &seconds.to_string()]);
    if rehydrate {
        command.arg("--rehydrate");
    }
    command
}

fn service(settings: &Settings, url: &str, kafka: Option<&Broker>, files: &Path) -> Result<Service, Error> {
    let data_dir = settings.data_dir.clone().unwrap_or_else(|| files.join("data"));
    let mut service = Service::new(&settings.program, url, &data_dir)?;
    service.log = files.join("service.log");
    let sink = kafka.map_or(String::new(), Broker::sink);
    service.config(&(settings.config.clone() + &sink))
}

/// The last line of a verb's output as JSON; an error when the verb failed for another reason than a finding.
pub(super) fn ask(service: &Service, verb: &[&str]) -> Result<serde_json::Value, Error> {
    let finished = finish(service.command(verb))?;
    match finished.code {
        Some(0 | 1) if finished.json().is_object() => Ok(finished.json()),
        _ => Err(Error::Program {
            what: format!("pgtape {} ended with {:?}", verb.join(" "), finished.code),
            output: finished.stdout + &finished.stderr,
        }),
    }
}
