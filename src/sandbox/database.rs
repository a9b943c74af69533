//! A fresh database for each test on a server that the tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::postgres::psql;
use super::{Binaries, Error, Options, PrivatePostgres};

/// Where a server comes from that is not stopped and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One of one's own, of this machine's programs.
    Local,
    /// A container engine (cargo feature `container`).
    Container,
    /// One that runs already: `postgres://`, as a superuser, or `host:port` of a broker.
    Address(String),
}

impl Place {
    /// `local`, `container` or an address, as `PGTAPE_TEST_PG` and `PGTAPE_TEST_KAFKA` have it.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "" | "local" => Place::Local,
            "container" => Place::Container,
            address => Place::Address(address.to_owned()),
        }
    }
}

/// The server all tests of a binary share. Tests that stop their server start a [`PrivatePostgres`] instead.
#[derive(Debug)]
pub struct Shared {
    server: Server,
    binaries: Binaries,
}

#[derive(Debug)]
enum Server {
    Private(PrivatePostgres),
    #[cfg(feature = "container")]
    Container(Box<super::container::Container>),
    Given(String),
}

impl Shared {
    /// Starts it, or takes the one that is given.
    ///
    /// # Errors
    /// It cannot be started here; says why.
    pub fn start(place: Place) -> Result<Self, Error> {
        let server = match place {
            Place::Local => Server::Private(PrivatePostgres::start(Options::default())?),
            Place::Container => container()?,
            Place::Address(url) => Server::Given(url),
        };
        Ok(Self { server, binaries: Binaries::find()? })
    }

    /// A fresh, empty database; dropped with what it returns.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn database(self: &Arc<Self>) -> Result<Database, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        psql(&self.binaries, &self.url(), &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(Database { shared: Arc::clone(self), name })
    }

    fn url(&self) -> String {
        match &self.server {
            Server::Private(server) => server.url(),
            #[cfg(feature = "container")]
            Server::Container(container) => container.url(),
            Server::Given(url) => url.clone(),
        }
    }
}

#[cfg(feature = "container")]
fn container() -> Result<Server, Error> {
    Ok(Server::Container(Box::new(super::container::Container::start()?)))
}

#[cfg(not(feature = "container"))]
fn container() -> Result<Server, Error> {
    Err(without_containers())
}

/// Without the cargo feature `container`.
#[cfg(not(feature = "container"))]
pub(super) fn without_containers() -> Error {
    use crate::refusal::{Kind, Refusal};
    let what = "this build cannot start containers";
    Refusal::new(Kind::Usage, what, "build the tests with --features container").into()
}

/// A database of its own; its slots and itself are dropped on drop.
#[derive(Debug)]
pub struct Database {
    shared: Arc<Shared>,
    name: String,
}

impl Database {
    /// Its address, as superuser.
    #[must_use]
    pub fn url(&self) -> String {
        with_database(&self.shared.url(), &self.name)
    }

    /// Its name, which is also good as a prefix for slots: those are the server's, not the database's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL with psql, stopping at the first error; rows come one a line, columns separated by `|`.
    ///
    /// # Errors
    /// The first statement that fails, with psql's words.
    pub fn psql(&self, sql: &str) -> Result<String, Error> {
        psql(&self.shared.binaries, &self.url(), sql)
    }

    /// The path of a client program (`psql`, `pg_recvlogical`, `pgbench`).
    #[must_use]
    pub fn bin(&self, program: &str) -> std::path::PathBuf {
        self.shared.binaries.path(program)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = &self.name;
        // A walsender that was told to end still holds its slot for a moment: wait for it, bounded by the server.
        let sql = format!(
            "DO $$ BEGIN
               FOR i IN 1..200 LOOP
                 PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots
                   WHERE database = '{name}' AND active_pid IS NOT NULL;
                 EXIT WHEN NOT FOUND;
                 PERFORM pg_sleep(0.05);
               END LOOP;
             END $$;
             SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}';
             DROP DATABASE {name} WITH (FORCE);"
        );
        let _ = psql(&self.shared.binaries, &self.shared.url(), &sql);
    }
}

/// The same address with another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    format!("{}/{database}{query}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_an_address_is_replaced() {
        let check = |url: &str, want: &str| assert_eq!(with_database(url, "x"), want);
        check("postgres://u:p@h:1/db?sslmode=disable", "postgres://u:p@h:1/x?sslmode=disable");
        check("postgres://u@h", "postgres://u@h/x");
    }
}
