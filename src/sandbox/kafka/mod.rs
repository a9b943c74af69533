//! Kafka of one's own: one broker, or a cluster of three, on free ports of the loopback, their files in a temporary
//! directory; and readers that share no code with our producer.
//!
//! ```text
//!  clients ──▶ Plain, Tls, MutualTls, Sasl, SaslTls ──▶ broker ◀── Proxied ◀── Proxy ◀── clients to be cut off
//!                                                         ▲
//!                                    tools, kcat, the Java console consumer
//! ```
//!
//! Invariants: ports stay the same over `kill9` and `start_again`. Brokers among themselves, tools and readers come in
//! through a door of their own ([`Door::Plain`]) that no proxy stalls.

mod broker;
mod certificates;
mod cluster;
#[cfg(feature = "container")]
mod container;
mod doors;
mod node;
mod programs;
mod reader;
mod tools;

use std::ffi::OsStr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use super::{Error, Finished, Process, Proxy, free_port};

pub use broker::KafkaBroker;
pub use certificates::Certificates;
pub use cluster::KafkaCluster;
pub use doors::{Door, Guard};
use node::{Node, Plan};
pub use programs::KafkaPrograms;
pub use reader::{KafkaReader, Record};
pub use tools::KafkaTools;

/// How a broker is made.
#[derive(Debug, Default)]
pub struct KafkaOptions<'a> {
    /// Settings of the broker, beside the usual ones; they overrule those.
    pub settings: &'a [(&'a str, &'a str)],
    /// Has [`Door::Proxied`].
    pub proxied: bool,
    /// Has the four guarded doors, certificates and a user.
    pub guarded: bool,
    /// And rights: the user may nothing until `AclCommand` gives it something.
    pub acls: bool,
    /// Where the records are kept; `None`: in the temporary directory.
    pub data: Option<PathBuf>,
}

/// A running broker; killed and removed on drop.
#[derive(Debug)]
pub struct PrivateKafka {
    node: Node,
    tools: KafkaTools,
    guard: Option<Guard>,
    _directory: TempDir,
}

impl PrivateKafka {
    /// Makes and starts a broker without topics, and with one door.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start(programs: KafkaPrograms) -> Result<Self, Error> {
        Self::start_with(programs, &KafkaOptions::default())
    }

    /// Makes and starts a broker without topics.
    ///
    /// # Errors
    /// It did not start; shows its log. A guarded one needs the program openssl.
    pub fn start_with(programs: KafkaPrograms, options: &KafkaOptions<'_>) -> Result<Self, Error> {
        let directory = temporary()?;
        let path = directory.path();
        let guard = if options.guarded { Some(Guard::make(path)?) } else { None };
        let mut doors = vec![Door::Plain];
        doors.extend(options.proxied.then_some(Door::Proxied));
        doors.extend(Door::GUARDED.iter().filter(|_door| options.guarded));
        let mut settings = guard.as_ref().map_or_else(String::new, |guard| guard.settings(options.acls));
        settings.extend(options.settings.iter().map(|(name, value)| format!("{name}={value}\n")));
        let controller = free_port()?;
        let mut node = Node::start(&Plan {
            programs: &programs,
            directory: path.to_owned(),
            number: 1,
            controller,
            voters: &format!("1@127.0.0.1:{controller}"),
            cluster: &cluster_id(),
            doors: &doors,
            settings: &settings,
            format: &guard.as_ref().map_or_else(Vec::new, Guard::scram),
            data: options.data.clone().unwrap_or_else(|| path.join("data")),
        })?;
        node.wait_ready()?;
        let tools = KafkaTools::new(programs, path, node.address(Door::Plain));
        Ok(Self { node, tools, guard, _directory: directory })
    }

    /// `bootstrap.servers` of a client without a name.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.address(Door::Plain)
    }

    /// `bootstrap.servers` of a client that comes in by `door`.
    ///
    /// # Panics
    /// The broker was made without it.
    #[must_use]
    pub fn address(&self, door: Door) -> String {
        self.node.address(door)
    }

    /// What a client of a guarded broker can show.
    ///
    /// # Panics
    /// It is not guarded.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        self.guard.as_ref().expect("KafkaOptions::guarded makes one")
    }

    /// The proxy before [`Door::Proxied`].
    ///
    /// # Panics
    /// The broker was made without it.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.node.proxy()
    }

    /// Its process: signal it, look whether it ended.
    pub fn process(&mut self) -> &mut Process {
        self.node.process()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self) -> Result<(), Error> {
        self.node.process().kill9()
    }

    /// Starts it on the same files and ports, and returns when it is ready.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.node.start_again()?;
        self.node.wait_ready()
    }

    /// Kafka's own tools, and readers, for this broker.
    #[must_use]
    pub fn tools(&self) -> &KafkaTools {
        &self.tools
    }

    /// Runs one of Kafka's own tools (`TopicCommand`, `GetOffsetShell`) against the broker, to its end.
    ///
    /// # Errors
    /// It cannot be started, or fails; shows what it printed.
    pub fn tool(&self, class: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Finished, Error> {
        self.tools.run(class, arguments)
    }
}

fn temporary() -> Result<TempDir, Error> {
    let made = tempfile::Builder::new().prefix("pgtape-kafka-").tempdir();
    made.map_err(Error::io("make a temporary directory"))
}

/// A random one, which a cluster needs once, before its first start.
fn cluster_id() -> String {
    let random = || URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes());
    // One that begins with a dash would be taken for an option.
    std::iter::repeat_with(random).find(|id| !id.starts_with('-')).expect("repeats for ever")
}
