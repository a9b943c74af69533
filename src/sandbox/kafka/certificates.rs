//! Certificates that live as long as a test: an authority, a broker's, a client's, and those of a stranger.
//!
//! Made by the program `openssl`, which every Debian with certificates has; a library for it would be part of the
//! product for the sake of its tests. Our own configuration file keeps the machine's out.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Error;
use super::programs::{need, succeeded, write};

/// Days until they end; a test takes minutes.
const DAYS: &str = "2";
const CONFIG: &str = "[req]\ndistinguished_name = name\n[name]\n\
    [authority]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n\
    [leaf]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n\
    extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = IP:127.0.0.1, DNS:localhost\n\
    authorityKeyIdentifier = keyid\n";

/// Where they are, as PEM.
#[derive(Debug)]
pub struct Certificates {
    /// Who signed the broker's and the client's.
    pub ca: PathBuf,
    /// The client's.
    pub client: PathBuf,
    /// And its key, not encrypted.
    pub client_key: PathBuf,
    /// An authority that signed neither.
    pub stranger_ca: PathBuf,
    /// A client's that the broker does not know.
    pub stranger: PathBuf,
    /// And its key.
    pub stranger_key: PathBuf,
    /// Key and certificate of the broker, in one file as it wants them.
    pub(super) broker: PathBuf,
}

impl Certificates {
    /// Makes them in `directory`.
    pub(super) fn make(directory: &Path) -> Result<Self, Error> {
        need("openssl", "openssl")?;
        write(directory, "openssl.cnf", CONFIG)?;
        for (ca, leaves) in [("ca", &["broker", "client"][..]), ("stranger_ca", &["stranger"][..])] {
            sign(directory, ca, None)?;
            for leaf in leaves {
                sign(directory, leaf, Some(ca))?;
            }
        }
        let path = |name: &str| directory.join(name);
        let read = |name: &str| std::fs::read_to_string(path(name)).map_err(Error::io(format!("read {name}")));
        write(directory, "broker.both", &(read("broker.key")? + &read("broker.pem")?))?;
        Ok(Self {
            ca: path("ca.pem"),
            client: path("client.pem"),
            client_key: path("client.key"),
            stranger_ca: path("stranger_ca.pem"),
            stranger: path("stranger.pem"),
            stranger_key: path("stranger.key"),
            broker: path("broker.both"),
        })
    }
}

/// Makes `name.key` and `name.pem`, signed by the authority `by`, or by itself as one.
fn sign(directory: &Path, name: &str, by: Option<&str>) -> Result<(), Error> {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(["req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", DAYS]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
    match by {
        None => command.args(["-extensions", "authority"]),
        Some(ca) => command.args(["-extensions", "leaf", "-CA", &format!("{ca}.pem"), "-CAkey", &format!("{ca}.key")]),
    };
    succeeded("openssl", command).map(|_finished| ())
}
