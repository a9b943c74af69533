//! A broker from a container engine, by testcontainers. Removed on drop by testcontainers itself.

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container as Running, GenericImage, ImageExt};

use super::super::{Error, free_port};
use crate::refusal::{Kind, Refusal};

/// The image: the project's own, at the version that `deploy/kafka` fetches.
const IMAGE: (&str, &str) = ("apache/kafka", "4.3.1");
/// It logs this when it takes part in its cluster.
const READY: &str = "Kafka Server started";
/// The settings of private brokers; an image takes each by its own variable.
const SETTINGS: &str = include_str!("../../../deploy/kafka/server.properties");

/// A running container.
#[derive(Debug)]
pub(super) struct Container {
    _running: Running<GenericImage>,
    port: u16,
}

impl Container {
    /// Starts it and waits until it takes part in its cluster.
    pub(super) fn start() -> Result<Self, Error> {
        let refuse = |error: testcontainers::TestcontainersError| {
            let hint = "start a container engine, or use PGTAPE_TEST_KAFKA=local";
            Refusal::new(Kind::Unreachable, format!("start a container with Kafka: {error}"), hint)
        };
        // Clients are told the port of the host: so it must be known before, and is the same inside.
        let port = free_port()?;
        let image = GenericImage::new(IMAGE.0, IMAGE.1).with_wait_for(WaitFor::message_on_stdout(READY));
        let mut image = image.with_mapped_port(port, port.tcp());
        let controller = "CONTROLLER://localhost:9093";
        let own = [
            ("listeners", format!("PLAINTEXT://:{port},{controller}")),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port},{controller}")),
            ("controller.quorum.voters", "1@localhost:9093".to_owned()),
        ];
        let usual = SETTINGS.lines().filter_map(|line| line.split_once('='));
        let usual = usual.filter(|(name, _)| !name.starts_with('#')).map(|(name, value)| (name, value.to_owned()));
        for (name, value) in usual.chain(own) {
            image = image.with_env_var(variable(name), value);
        }
        Ok(Self { _running: image.start().map_err(refuse)?, port })
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// The variable of a setting: `log.dirs` is `KAFKA_LOG_DIRS`.
fn variable(setting: &str) -> String {
    format!("KAFKA_{}", setting.to_uppercase().replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn settings_become_variables() {
        assert_eq!(variable("auto.create.topics.enable"), "KAFKA_AUTO_CREATE_TOPICS_ENABLE");
    }
}
