//! A Postgres of one's own: fresh files in a temporary directory, a free port of the loopback, a random password.
//!
//! Invariant: the port stays the same over `stop_immediate` and `start_again`, so that clients come back to it.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::watchdog::Watchdog;
use super::{Binaries, Error, free_port};

/// A server that needs longer than this to accept connections (crash recovery included) is broken.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often its state is looked at until then.
const READY_POLL: Duration = Duration::from_millis(10);
/// Ports tried when somebody else is faster.
const PORT_TRIES: u32 = 5;
/// How much of the server's log an error shows.
const LOG_TAIL_BYTES: usize = 4 << 10;

/// What every private server runs with; [`Options::settings`] come after and win.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("wal_level", "logical"),
    ("max_wal_senders", "64"),
    ("max_replication_slots", "64"),
    ("max_connections", "200"),
    ("max_worker_processes", "16"),
    ("fsync", "off"), // Only a power cut could lose what the kernel holds.
    // Before crash recovery the files are synced one by one, which takes seconds on a busy disk.
    ("recovery_init_sync_method", "syncfs"),
    ("autovacuum_naptime", "10s"),
];

/// How a private server differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// Lines of `postgresql.conf`: name and value.
    pub settings: &'a [(&'a str, &'a str)],
    /// The programs to use; `None`: [`Binaries::find`].
    pub binaries: Option<Binaries>,
}

/// A running server; stopped and removed on drop, and when this process is killed.
#[derive(Debug)]
pub struct PrivatePostgres {
    binaries: Binaries,
    account: Account,
    directory: PathBuf,
    port: u16,
    password: String,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    server: Option<Child>,
    watchdog: Watchdog,
}

impl PrivatePostgres {
    /// Makes and starts a server.
    ///
    /// # Errors
    /// No server programs on this machine (names the package), or the server did not start (shows its log).
    pub fn start(options: Options<'_>) -> Result<Self, Error> {
        let binaries = options.binaries.map_or_else(Binaries::find, Ok)?;
        let account = Account::find()?;
        let directory = make_directory(account)?;
        let watchdog = Watchdog::start(account, "QUIT", Some(&directory))?;
        let password = format!("{:032x}", rand::rng().random::<u128>());
        let running = Mutex::new(Running { server: None, watchdog });
        let mut made = Self { binaries, account, directory, port: 0, password, running };
        made.initialize(options.settings)?;
        for _ in 0..PORT_TRIES {
            made.port = free_port()?;
            match made.start_again() {
                Ok(()) => return Ok(made),
                Err(error) if made.log_tail().contains("could not bind") => drop(error),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Program { what: "no free port for Postgres".into(), output: made.log_tail() })
    }

    /// The address of the database `postgres`, as superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// The address of another database of this server, as superuser.
    #[must_use]
    pub fn url_for(&self, database: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(database, percent_encoding::NON_ALPHANUMERIC);
        format!("postgres://postgres:{}@127.0.0.1:{}/{name}?sslmode=disable", self.password, self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the superuser `postgres`.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The path of a program of this server's version.
    #[must_use]
    pub fn bin(&self, program: &str) -> PathBuf {
        self.binaries.path(program)
    }

    /// Runs SQL with psql in the database `postgres`; rows come one a line, columns separated by a bar.
    ///
    /// # Errors
    /// The first statement that fails, with psql's words.
    pub fn psql(&self, sql: &str) -> Result<String, Error> {
        psql(&self.binaries, &self.url(), sql)
    }

    /// Runs SQL with psql in another database.
    ///
    /// # Errors
    /// The first statement that fails, with psql's words.
    pub fn psql_in(&self, database: &str, sql: &str) -> Result<String, Error> {
        psql(&self.binaries, &self.url_for(database), sql)
    }

    /// Stops the server as a crash would (`pg_ctl stop -m immediate`) and returns when it is gone.
    ///
    /// # Errors
    /// The server could not be signalled.
    pub fn stop_immediate(&self) -> Result<(), Error> {
        self.stop(Signal::QUIT)
    }

    /// Stops the server in an orderly way (`-m fast`) and returns when it is gone.
    ///
    /// # Errors
    /// The server could not be signalled.
    pub fn stop_fast(&self) -> Result<(), Error> {
        self.stop(Signal::INT)
    }

    /// Starts the server on the same files and port, and returns when it accepts connections.
    ///
    /// # Errors
    /// It did not get ready; shows its log.
    pub fn start_again(&self) -> Result<(), Error> {
        let mut running = self.lock();
        if running.server.is_some() {
            return Ok(());
        }
        let log =
            OpenOptions::new().append(true).create(true).open(self.log_path()).map_err(Error::io("open the log"))?;
        let errors = log.try_clone().map_err(Error::io("open the log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_dir()).args(["-p", &self.port.to_string()]);
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut server = command.spawn().map_err(Error::io("start postgres"))?;
        running.watchdog.watch(Some(server.id()))?;
        let ready = self.wait_ready(&mut server);
        if ready.is_err() {
            let _ = server.kill();
            let _ = server.wait();
            running.watchdog.watch(None)?;
        } else {
            running.server = Some(server);
        }
        ready
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }

    fn initialize(&self, settings: &[(&str, &str)]) -> Result<(), Error> {
        let secret = self.directory.join("password");
        File::create(&secret)
            .and_then(|mut f| f.write_all(self.password.as_bytes()))
            .map_err(Error::io("write password"))?;
        self.account.own(&secret)?;
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data_dir()).arg(format!("--pwfile={}", secret.display()));
        initdb.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
        run(&mut initdb, "initdb")?;
        fs::remove_file(&secret).map_err(Error::io("remove the password file"))?;
        let mut text = format!("\nunix_socket_directories = '{}'\n", self.directory.display());
        for (name, value) in SETTINGS.iter().chain(settings) {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        let path = self.data_dir().join("postgresql.conf");
        let written = OpenOptions::new().append(true).open(path).and_then(|mut f| f.write_all(text.as_bytes()));
        written.map_err(Error::io("write postgresql.conf"))
    }

    fn stop(&self, signal: Signal) -> Result<(), Error> {
        let mut running = self.lock();
        let Some(mut server) = running.server.take() else { return Ok(()) };
        if let Some(pid) = i32::try_from(server.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal).map_err(|e| Error::io("signal postgres")(e.into()))?;
        }
        server.wait().map_err(Error::io("wait for postgres"))?;
        running.watchdog.watch(None)
    }

    /// The postmaster writes its state into the eighth line of its lock file.
    fn wait_ready(&self, server: &mut Child) -> Result<(), Error> {
        let lock = self.data_dir().join("postmaster.pid");
        let pid = server.id().to_string();
        let started = Instant::now();
        let failed = |what: &str| Error::Program { what: format!("postgres {what}"), output: self.log_tail() };
        while started.elapsed() < READY_TIMEOUT {
            let text = fs::read_to_string(&lock).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            if lines.first() == Some(&pid.as_str()) && lines.get(7) == Some(&"ready") {
                return Ok(());
            }
            if let Some(status) = server.try_wait().map_err(Error::io("look at postgres"))? {
                return Err(failed(&format!("ended with {status}")));
            }
            sleep(READY_POLL);
        }
        Err(failed(&format!("was not ready within {} s", READY_TIMEOUT.as_secs())))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin(program));
        command.current_dir(&self.directory);
        self.account.dress(&mut command);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let _ = self.stop_immediate(); // The watchdog, dropped next, removes the directory.
    }
}

/// Runs SQL with psql, stopping at the first error; rows come one a line, columns separated by `|`.
///
/// # Errors
/// psql is missing, cannot connect, or a statement fails.
pub(super) fn psql(binaries: &Binaries, url: &str, sql: &str) -> Result<String, Error> {
    let mut command = Command::new(binaries.path("psql"));
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("start psql"))?;
    let input = child.stdin.take();
    std::thread::scope(|scope| {
        scope.spawn(move || input.map(|mut input| input.write_all(sql.as_bytes())));
        let output = child.wait_with_output().map_err(Error::io("wait for psql"))?;
        if !output.status.success() {
            return Err(Error::Program { what: "psql failed".into(), output: text(&output.stderr) });
        }
        Ok(text(&output.stdout))
    })
}

/// Runs a program to its end; its output is shown only when it fails.
fn run(command: &mut Command, what: &str) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::io(format!("start {what}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program { what: format!("{what} failed"), output: text(&output.stdout) + &text(&output.stderr) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// A directory that only `account` reads, short enough for a Unix socket's path.
fn make_directory(account: Account) -> Result<PathBuf, Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("pgtape-");
    let made = match account {
        Account::Own => builder.tempdir(),
        Account::Lent { .. } => builder.tempdir_in(Path::new("/tmp")), // Root's own TMPDIR may be closed to others.
    };
    let directory = made.map_err(Error::io("make a temporary directory"))?.keep();
    account.own(&directory)?;
    Ok(directory)
}
