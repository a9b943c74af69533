//! Servers of one's own for the demo, the tests and the benches: a private Postgres, a Kafka broker, a schema registry, a TCP proxy that can be cut, and
//! the real program as a process that can be killed. All of it starts here and nowhere else.
//!
//! Invariant: nothing started here outlives the process that started it, however that process ends; a `watchdog`
//! stands beside each child. Nothing is installed, and nothing outside a temporary directory is written.

mod account;
mod binaries;
#[cfg(feature = "container")]
mod container;
mod database;
pub mod demo;
mod disk;
mod error;
pub mod failpoints;
mod http;
mod kafka;
mod ports;
mod postgres;
mod process;
mod proxy;
mod registry;
mod service;
mod watchdog;

pub use binaries::Binaries;
pub use database::{Database, Place, Shared};
pub use disk::SmallDisk;
pub use error::Error;
pub use http::{Reply, get};
pub use kafka::{
    Certificates, Door, Guard, KafkaBroker, KafkaCluster, KafkaOptions, KafkaPrograms, KafkaReader, KafkaTools,
    PrivateKafka, Record,
};
pub use ports::free_port;
pub use postgres::{Options, PrivatePostgres};
pub use process::{Finished, Process, finish};
pub use proxy::Proxy;
pub use registry::{PrivateRegistry, RegistryPrograms};
pub use service::{Service, ServiceProcess};
