//! How clients come into a private broker, and what they must know for it.
//!
//! Invariant: names and passwords are made at random for each broker; nothing else anywhere takes them.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::certificates::Certificates;

/// A listener of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// No authentication, no encryption: for the brokers among themselves, for tools and readers.
    Plain,
    /// The same, but clients are led through a [`super::super::Proxy`], also after they asked who leads a partition.
    Proxied,
    /// The broker shows a certificate.
    Tls,
    /// The client must show one, too.
    MutualTls,
    /// A name and a password, by PLAIN or SCRAM, no encryption.
    Sasl,
    /// The same over TLS.
    SaslTls,
}

impl Door {
    /// Those that only a guarded broker has.
    pub(super) const GUARDED: [Door; 4] = [Door::Tls, Door::MutualTls, Door::Sasl, Door::SaslTls];

    /// The listener's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Door::Plain => "PLAIN",
            Door::Proxied => "PROXIED",
            Door::Tls => "TLS",
            Door::MutualTls => "MUTUAL",
            Door::Sasl => "SASL",
            Door::SaslTls => "SASLTLS",
        }
    }

    /// What brokers and clients call `security.protocol`.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Door::Plain | Door::Proxied => "PLAINTEXT",
            Door::Tls | Door::MutualTls => "SSL",
            Door::Sasl => "SASL_PLAINTEXT",
            Door::SaslTls => "SASL_SSL",
        }
    }
}

/// What a client of a guarded broker can show.
#[derive(Debug)]
pub struct Guard {
    /// The name of the one user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Certificates and keys.
    pub certificates: Certificates,
}

impl Guard {
    /// Makes a user, and the certificates in `directory`.
    pub(super) fn make(directory: &Path) -> Result<Self, super::super::Error> {
        let random = || Uuid::new_v4().simple().to_string();
        let certificates = Certificates::make(directory)?;
        Ok(Self { user: format!("user-{}", random()), password: random(), certificates })
    }

    /// What the guarded listeners add to a broker's settings.
    pub(super) fn settings(&self, acls: bool) -> String {
        let (user, password) = (&self.user, &self.password);
        let login = "sasl.jaas.config=org.apache.kafka.common.security";
        let pem = |path: &PathBuf| path.display().to_string();
        let mut text = format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             listener.name.mutual.ssl.client.auth=required\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n",
            pem(&self.certificates.broker),
            pem(&self.certificates.ca),
        );
        for door in [Door::Sasl, Door::SaslTls] {
            let name = format!("listener.name.{}", door.name().to_lowercase());
            text += &format!("{name}.plain.{login}.plain.PlainLoginModule required user_{user}=\"{password}\";\n");
            for mechanism in ["scram-sha-256", "scram-sha-512"] {
                text += &format!("{name}.{mechanism}.{login}.scram.ScramLoginModule required;\n");
            }
        }
        if acls {
            // Who comes in without a name is a broker, or a tool of the test.
            text += "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                     super.users=User:ANONYMOUS\n";
        }
        text
    }

    /// Arguments of `StorageTool format` that make the user known by SCRAM.
    pub(super) fn scram(&self) -> Vec<String> {
        let (user, password) = (&self.user, &self.password);
        let one =
            |mechanism| ["--add-scram".into(), format!("SCRAM-SHA-{mechanism}=[name={user},password={password}]")];
        ["256", "512"].into_iter().flat_map(one).collect()
    }
}
