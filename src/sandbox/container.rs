//! The shared server from a container engine, by testcontainers. Removed on drop by testcontainers itself.

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container as Running, GenericImage, ImageExt};

use crate::refusal::{Kind, Refusal};

use super::Error;

/// The image: the official one, at the version Debian 12 ships.
const IMAGE: (&str, &str) = ("postgres", "15");
const PASSWORD: &str = "pgtape";
const PORT: u16 = 5432;

/// A running container.
#[derive(Debug)]
pub(super) struct Container {
    running: Running<GenericImage>,
    port: u16,
}

impl Container {
    /// Starts it and waits until it accepts connections.
    pub(super) fn start() -> Result<Self, Error> {
        let refuse = |e: testcontainers::TestcontainersError| {
            let hint = "start a container engine, or use PGTAPE_TEST_PG=local";
            Refusal::new(Kind::Unreachable, format!("start a container with Postgres: {e}"), hint)
        };
        // The image starts twice: once to initialize, once for good.
        let ready = WaitFor::message_on_stderr("listening on IPv4 address");
        let image = GenericImage::new(IMAGE.0, IMAGE.1).with_exposed_port(PORT.tcp()).with_wait_for(ready);
        let command =
            ["postgres", "-c", "wal_level=logical", "-c", "max_wal_senders=64", "-c", "max_replication_slots=64"];
        let image = image.with_env_var("POSTGRES_PASSWORD", PASSWORD).with_cmd(command);
        let running = image.start().map_err(refuse)?;
        let port = running.get_host_port_ipv4(PORT.tcp()).map_err(refuse)?;
        Ok(Self { running, port })
    }

    /// Its address, as superuser.
    pub(super) fn url(&self) -> String {
        let host = self.running.get_host().map_or_else(|_| "127.0.0.1".to_owned(), |host| host.to_string());
        format!("postgres://postgres:{PASSWORD}@{host}:{}/postgres?sslmode=disable", self.port)
    }
}
