//! One broker, a KRaft node that is its own controller: its folder, its ports, its process.
//!
//! Invariant: ports and files stay the same over kills and starts, so that clients come back to it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::{Error, Process, Proxy, free_port};
use super::doors::Door;
use super::programs::{KafkaPrograms, prepare, succeeded, write};

/// A broker that needs longer than this to start (its recovery included) is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// How often it is looked at until then.
const READY_POLL: Duration = Duration::from_millis(50);
/// It logs this when it takes part in its cluster.
const READY: &str = "Kafka Server started";
/// What every private broker runs with, but for its number, its ports and its folder.
const SETTINGS: &str = include_str!("../../../deploy/kafka/server.properties");
const SETTINGS_FILE: &str = "server.properties";
const HEAP: &str = "-Xmx384m";

/// How a node is made.
pub(super) struct Plan<'a> {
    pub programs: &'a KafkaPrograms,
    /// Its own; made if need be.
    pub directory: PathBuf,
    /// From 1.
    pub number: usize,
    /// Where its controller listens.
    pub controller: u16,
    /// All controllers of the cluster, this one among them: `1@127.0.0.1:port,...`.
    pub voters: &'a str,
    /// The cluster's id.
    pub cluster: &'a str,
    pub doors: &'a [Door],
    /// Lines that are added to the usual ones, and overrule them.
    pub settings: &'a str,
    /// More arguments of `StorageTool format`.
    pub format: &'a [String],
    /// Where its records are.
    pub data: PathBuf,
}

/// A running broker; killed on drop.
#[derive(Debug)]
pub(super) struct Node {
    programs: KafkaPrograms,
    directory: PathBuf,
    doors: Vec<Opened>,
    process: Process,
    /// How much of its log is of earlier lives.
    old_log_bytes: usize,
}

/// A listener with its port.
#[derive(Debug)]
struct Opened {
    door: Door,
    port: u16,
    proxy: Option<Proxy>,
}

impl Opened {
    fn new(door: Door) -> Result<Self, Error> {
        let port = free_port()?;
        let proxy = if door == Door::Proxied { Some(Proxy::start(port)?) } else { None };
        Ok(Self { door, port, proxy })
    }

    /// Where clients are told to come to.
    fn advertised(&self) -> u16 {
        self.proxy.as_ref().map_or(self.port, Proxy::port)
    }
}

impl Node {
    /// Makes its files and starts it; it is not ready yet.
    pub(super) fn start(plan: &Plan<'_>) -> Result<Self, Error> {
        let directory = plan.directory.clone();
        std::fs::create_dir_all(&directory).map_err(Error::io("make a folder"))?;
        prepare(&directory)?;
        let doors = plan.doors.iter().map(|door| Opened::new(*door)).collect::<Result<Vec<_>, _>>()?;
        write(&directory, SETTINGS_FILE, &settings(plan, &doors))?;
        let mut format = plan.programs.tool(&directory, "kafka.tools.StorageTool");
        format.args(["format", "-t", plan.cluster, "-c", SETTINGS_FILE]).args(plan.format);
        succeeded("StorageTool", format)?;
        let process = Process::start("Kafka", command(plan.programs, &directory), &log(&directory))?;
        Ok(Self { programs: plan.programs.clone(), directory, doors, process, old_log_bytes: 0 })
    }

    /// The address of one of its doors.
    ///
    /// # Panics
    /// It was made without it.
    pub(super) fn address(&self, door: Door) -> String {
        format!("127.0.0.1:{}", self.opened(door).advertised())
    }

    /// The proxy before [`Door::Proxied`].
    ///
    /// # Panics
    /// It was made without it.
    pub(super) fn proxy(&self) -> &Proxy {
        self.opened(Door::Proxied).proxy.as_ref().expect("this door has one")
    }

    pub(super) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again, killing the one that runs; it is not ready yet.
    pub(super) fn start_again(&mut self) -> Result<(), Error> {
        self.process.kill9()?;
        self.old_log_bytes = self.logged().len();
        self.process.start_again(command(&self.programs, &self.directory))
    }

    /// Waits until it listens and takes part in its cluster.
    pub(super) fn wait_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        while !self.is_ready() {
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

    fn is_ready(&self) -> bool {
        let logged = self.logged();
        let of_this_life = String::from_utf8_lossy(logged.get(self.old_log_bytes..).unwrap_or_default());
        let listens = |opened: &Opened| TcpStream::connect((Ipv4Addr::LOCALHOST, opened.port)).is_ok();
        of_this_life.contains(READY) && self.doors.iter().all(listens)
    }

    fn logged(&self) -> Vec<u8> {
        std::fs::read(log(&self.directory)).unwrap_or_default()
    }

    fn opened(&self, door: Door) -> &Opened {
        let found = self.doors.iter().find(|opened| opened.door == door);
        found.unwrap_or_else(|| panic!("the broker was made without the door {door:?}"))
    }
}

fn log(directory: &Path) -> PathBuf {
    directory.join("log")
}

fn command(programs: &KafkaPrograms, directory: &Path) -> Command {
    let mut command = programs.java(directory, "kafka.Kafka", &[HEAP]);
    command.arg(SETTINGS_FILE);
    command
}

fn settings(plan: &Plan<'_>, doors: &[Opened]) -> String {
    let controller = format!("CONTROLLER://127.0.0.1:{}", plan.controller);
    let list = |port: fn(&Opened) -> u16| {
        let all = doors.iter().map(|opened| format!("{}://127.0.0.1:{},", opened.door.name(), port(opened)));
        all.collect::<String>()
    };
    let protocols: String =
        doors.iter().map(|opened| format!("{}:{},", opened.door.name(), opened.door.protocol())).collect();
    format!(
        "{SETTINGS}node.id={number}\nlisteners={listeners}{controller}\nadvertised.listeners={advertised}{controller}\n\
         listener.security.protocol.map={protocols}CONTROLLER:PLAINTEXT\ninter.broker.listener.name={plain}\n\
         controller.quorum.voters={voters}\nlog.dirs={data}\n{more}",
        number = plan.number,
        listeners = list(|opened| opened.port),
        advertised = list(Opened::advertised),
        plain = Door::Plain.name(),
        voters = plan.voters,
        data = plan.data.display(),
        more = plan.settings,
    )
}
