//! What the command line and the environment say; it wins over the file. Flag, then environment, then file, then default.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::refusal::{Kind, Refusal};

/// The options every command takes. Not `Debug`: the URL may hold a password.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Overrides {
    /// The configuration file; every key is described in config/pgtape.toml
    #[arg(long, global = true, value_name = "FILE", env = "PGTAPE_CONFIG", hide_env_values = true, value_parser = path())]
    pub config: Option<PathBuf>,

    /// Postgres: postgres://user@host:port/database?sslmode=.. (else DATABASE_URL, else the file)
    #[arg(long, global = true, value_name = "URL", env = "PGTAPE_URL", hide_env_values = true)]
    pub url: Option<String>,

    /// The tables to capture: schema.name, * for any characters, a comma between two, `\,` for a literal comma
    #[arg(long, global = true, value_name = "LIST", env = "PGTAPE_TABLES", hide_env_values = true)]
    pub tables: Option<String>,

    /// The replication slot; slots are named per server, not per database [default: pgtape]
    #[arg(long, global = true, value_name = "NAME", env = "PGTAPE_SLOT", hide_env_values = true)]
    pub slot: Option<String>,

    /// The publication [default: pgtape]
    #[arg(long, global = true, value_name = "NAME", env = "PGTAPE_PUBLICATION", hide_env_values = true)]
    pub publication: Option<String>,

    /// Where the tape, checkpoints and quarantine are kept [default: ./pgtape-data]
    #[arg(long, global = true, value_name = "DIR", env = "PGTAPE_DATA_DIR", hide_env_values = true, value_parser = path())]
    pub data_dir: Option<PathBuf>,

    /// Where HTTP is served and asked; other than loopback needs --listen-anywhere, or the same twice
    /// [default: 127.0.0.1:7654]
    #[arg(long, global = true, value_name = "ADDRESS", env = "PGTAPE_LISTEN", hide_env_values = true)]
    pub listen: Vec<String>,

    /// Allow --listen on an address that other machines reach: whoever reaches it reads every captured row
    #[arg(
        long,
        global = true,
        env = "PGTAPE_LISTEN_ANYWHERE",
        hide_env_values = true,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub listen_anywhere: bool,

    /// The sinks, where the command takes them.
    #[arg(skip)]
    pub sinks: Option<String>,
}

/// Clap's own parser of paths refuses an empty variable; here that is one that is not set, as with every other option.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What is taken from the environment and never from the command line.
#[derive(Clone, Default)]
pub struct Environment {
    /// `DATABASE_URL`: the address, when neither `--url` nor `PGTAPE_URL` says one.
    pub database_url: Option<String>,
    /// `PGTAPE_PASSWORD`: the password, when the address has none.
    pub password: Option<String>,
    /// `PGTAPE_KAFKA_PASSWORD`: the password of SASL, for sinks without `password_file`.
    pub kafka_password: Option<String>,
    /// `PGTAPE_FAILPOINTS`: faults to inject, in a build that has them.
    pub failpoints: Option<String>,
}

impl Environment {
    /// Reads the process's environment. The only place of the program that does, beside the options above.
    #[must_use]
    pub fn of_process() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (database_url, password) = (read("DATABASE_URL"), read("PGTAPE_PASSWORD"));
        let kafka_password = read("PGTAPE_KAFKA_PASSWORD");
        Self { database_url, password, kafka_password, failpoints: read("PGTAPE_FAILPOINTS") }
    }
}

/// The command line of this process, the program's name first.
#[must_use]
pub fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// Where this program is on disk.
pub fn this_program() -> Result<PathBuf, Refusal> {
    std::env::current_exe().map_err(|e| {
        Refusal::new(Kind::Server, format!("this program cannot be found on disk: {e}"), "start it by its full path")
    })
}
