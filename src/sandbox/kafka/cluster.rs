//! Three brokers on one machine: every partition is on each, two must have a record before it is acknowledged.

use tempfile::TempDir;

use super::super::{Error, Process, free_port};
use super::doors::Door;
use super::node::{Node, Plan};
use super::programs::KafkaPrograms;
use super::tools::KafkaTools;
use super::{cluster_id, temporary};

/// How many.
const NODES: usize = 3;
/// A lost broker is noticed within three seconds, not nine: tests wait for it.
const SETTINGS: &str = "default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\n\
    transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\n\
    share.coordinator.state.topic.replication.factor=3\nshare.coordinator.state.topic.min.isr=2\n\
    broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n";

/// A running cluster; killed and removed on drop.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Node>,
    tools: KafkaTools,
    _directory: TempDir,
}

impl KafkaCluster {
    /// Makes and starts a cluster without topics; `settings` overrule the usual ones.
    ///
    /// # Errors
    /// A broker did not start; shows its log.
    pub fn start(programs: KafkaPrograms, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let directory = temporary()?;
        let controllers = (0..NODES).map(|_node| free_port()).collect::<Result<Vec<_>, _>>()?;
        let voters: Vec<String> =
            controllers.iter().zip(1..).map(|(port, number)| format!("{number}@127.0.0.1:{port}")).collect();
        let more = settings.iter().map(|(name, value)| format!("{name}={value}\n"));
        let settings: String = std::iter::once(SETTINGS.to_owned()).chain(more).collect();
        let (voters, cluster) = (voters.join(","), cluster_id());
        let start = |(controller, number): (u16, usize)| {
            let folder = directory.path().join(format!("broker{number}"));
            Node::start(&Plan {
                programs: &programs,
                data: folder.join("data"),
                directory: folder,
                number,
                controller,
                voters: &voters,
                cluster: &cluster,
                doors: &[Door::Plain],
                settings: &settings,
                format: &[],
            })
        };
        let mut nodes = controllers.into_iter().zip(1..).map(start).collect::<Result<Vec<_>, _>>()?;
        nodes.iter_mut().try_for_each(Node::wait_ready)?;
        let all: Vec<String> = nodes.iter().map(|node| node.address(Door::Plain)).collect();
        super::programs::prepare(directory.path())?;
        let tools = KafkaTools::new(programs, directory.path(), all.join(","));
        Ok(Self { nodes, tools, _directory: directory })
    }

    /// `bootstrap.servers` of a client: all three.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.tools.bootstrap().to_owned()
    }

    /// How many brokers there are, living or dead.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Kills a broker, counted from 0, with SIGKILL.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self, broker: usize) -> Result<(), Error> {
        self.nodes[broker].process().kill9()
    }

    /// Starts a broker on the same files and ports, and returns when it is ready.
    ///
    /// # Errors
    /// It did not start; shows its log.
    pub fn start_again(&mut self, broker: usize) -> Result<(), Error> {
        self.nodes[broker].start_again()?;
        self.nodes[broker].wait_ready()
    }

    /// The process of a broker: signal it, look whether it ended.
    pub fn process(&mut self, broker: usize) -> &mut Process {
        self.nodes[broker].process()
    }

    /// Kafka's own tools, and readers, for this cluster.
    #[must_use]
    pub fn tools(&self) -> &KafkaTools {
        &self.tools
    }
}
