//! One way to a server for everything: TCP (or a Unix socket), TLS by the address's `sslmode`, the session settings
//! without which values change their text.

use std::time::Duration;

use pgwire_replication::PgWireError;
use pgwire_replication::tls::rustls::maybe_upgrade_to_tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::{Address, Error};
use crate::refusal::{Kind, Refusal};

/// Connecting, TLS and log-in together may take this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of every session of ours: roles and databases can change what values look like (a `regclass` is written with its
/// schema or without, by the search path), row security makes COPY silently empty, a time-out of the role would end a long
/// copy, a role that only reads by default would make no publication, and one that isolates more by default would fail where
/// two of our sessions meet.
const SESSION_SETTINGS: &[(&str, &str)] = &[
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "3"),
    ("timezone", "UTC"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
    // What a roll-up has committed must not be taken back by a crash of the server.
    ("synchronous_commit", "on"),
    ("client_encoding", "UTF8"),
    ("search_path", "public"),
    ("row_security", "off"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// What a connection is for; shown in `pg_stat_activity` as `pgtape <purpose>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The walsender that streams.
    Stream,
    /// Catalog questions, slots, publications.
    Control,
    /// The first copy and table refreshes.
    Copy,
    /// Comparing with the standby.
    Verify,
    /// Roll-up transactions.
    Rollup,
    /// Marks of an outbox.
    Outbox,
    /// Migrations.
    Migrate,
    /// An engine's writer.
    Engine,
}

impl Purpose {
    /// The `application_name` of such a connection.
    #[must_use]
    pub const fn application_name(self) -> &'static str {
        match self {
            Purpose::Stream => "pgtape",
            Purpose::Control => "pgtape control",
            Purpose::Copy => "pgtape copy",
            Purpose::Verify => "pgtape verify",
            Purpose::Rollup => "pgtape rollup",
            Purpose::Outbox => "pgtape outbox",
            Purpose::Migrate => "pgtape migrate",
            Purpose::Engine => "pgtape engine",
        }
    }
}

/// A byte stream to a server, encrypted or not.
pub type Stream = Box<dyn Socket>;

/// What a stream to a server can do.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A session for SQL. Dropping it ends the connection.
pub struct Session {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
}

impl std::ops::Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Opens an SQL session with the settings every value depends on. Gives up after [`CONNECT_TIMEOUT`].
pub async fn connect(address: &Address, purpose: Purpose) -> Result<Session, Error> {
    let open = async {
        let stream = open_stream(address, None).await?;
        let mut config = address.config.clone();
        config.application_name(purpose.application_name());
        config.user(address.user());
        config.dbname(address.database());
        config.ssl_mode(tokio_postgres::config::SslMode::Disable); // The stream is encrypted already, or is not to be.
        let (client, connection) =
            config.connect_raw(stream, NoTls).await.map_err(|e| login_error(address, e.into()))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let session = Session { client, connection };
        let settings: Vec<String> = SESSION_SETTINGS.iter().map(|(k, v)| format!("SET {k} = '{v}'")).collect();
        session.batch_execute(&settings.join(";")).await?;
        Ok(session)
    };
    match timeout(CONNECT_TIMEOUT, open).await {
        Ok(result) => result,
        Err(_) => Err(Error::Retry(format!("{address} did not answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// The settings as start-up `options`, for connections that cannot run SET (walsender).
pub(crate) fn startup_options() -> String {
    let options: Vec<String> =
        SESSION_SETTINGS.iter().map(|(k, v)| format!("-c {k}={}", v.replace(' ', "\\ "))).collect();
    options.join(" ")
}

/// Opens the byte stream to the server, up to where the start-up message goes. `receive_buffer_bytes` bounds what the
/// kernel takes in advance.
pub async fn open_stream(address: &Address, receive_buffer_bytes: Option<u32>) -> Result<Stream, Error> {
    let (host, port) = address.host();
    let unreachable = |e: std::io::Error| Error::Retry(format!("cannot reach {address}: {e}"));
    match host {
        Host::Unix(directory) => {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?))
        }
        Host::Tcp(name) => {
            let tcp = open_tcp(&name, port, receive_buffer_bytes).await.map_err(unreachable)?;
            tcp.set_nodelay(true)?;
            let stream = maybe_upgrade_to_tls(tcp, &address.tls, &name).await.map_err(|e| match e {
                PgWireError::Io(io) => Error::Retry(format!("cannot reach {address}: {io}")),
                other => Error::Refused(Refusal::new(
                    Kind::Unreachable,
                    format!("TLS with {address}: {other}"),
                    "check sslmode and sslrootcert of the address",
                )),
            })?;
            Ok(Box::new(stream))
        }
    }
}

async fn open_tcp(name: &str, port: u16, receive_buffer_bytes: Option<u32>) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    for address in lookup_host((name, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_keepalive(true)?;
        if let Some(bytes) = receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A log-in that a person must mend: wrong password, no such user or database.
pub(super) fn login_error(address: &Address, error: Error) -> Error {
    let Some(code) = error.code() else { return error };
    let hint = if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) {
        "check user and password of the address, and pg_hba.conf"
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        "check the database of the address"
    } else {
        return error;
    };
    Refusal::new(Kind::Unreachable, format!("log in to {address}: {error}"), hint).into()
}
