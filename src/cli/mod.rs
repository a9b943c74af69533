//! The command line: one file a verb, no logic. Parse, load the configuration, run the verb, say the error in one line.
//!
//! Invariant: stdout holds results, stderr everything else; with `--json` the last line of stdout is one object.

mod client;
mod consent;
mod demo;
mod doctor;
mod kafka;
mod logging;
mod migrate;
mod outbox;
mod output;
mod quarantine;
mod run;
mod simulate;
mod sink;
mod slot;
mod status;
mod tape;
mod uninstall;
mod verify;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Environment, Overrides};
use crate::refusal::{Kind, Refusal};
use crate::sandbox::failpoints;
use output::Output;

/// After a verb has ended, what is left in the background may take this long.
const BACKGROUND_MAX: Duration = Duration::from_millis(500);

/// Postgres commits on a durable tape, a warm standby, exactly-once roll-ups.
#[derive(Parser)]
#[command(name = "pgtape", version = version::text())]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    /// Give the result as one JSON object, on the last line of stdout
    #[arg(long, global = true, help_heading = "Options of every command")]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the service: slot to tape, tape to sinks, HTTP
    Run(run::Args),
    /// Create or remove pgtape's and the engines' tables, publication and roles
    #[command(subcommand)]
    Migrate(migrate::Verb),
    /// Check server, tables and data directory; say the SQL that mends each finding
    Doctor,
    /// Say how the running service is
    Status,
    /// Compare standby and roll-ups with Postgres at one log position, while everything runs
    Verify(verify::Args),
    /// Look at the tape
    #[command(subcommand)]
    Tape(tape::Verb),
    /// Rows that a sink could not use
    #[command(subcommand)]
    Quarantine(quarantine::Verb),
    /// Events of an outbox that a Kafka sink relays
    #[command(subcommand)]
    Outbox(outbox::Verb),
    /// The replication slot
    #[command(subcommand)]
    Slot(slot::Verb),
    /// Positions of the sinks
    #[command(subcommand)]
    Sink(sink::Verb),
    /// Kafka sinks: look at them, move them, replay
    #[command(subcommand)]
    Kafka(kafka::Verb),
    /// Run simulated engines against Postgres
    Simulate(simulate::Args),
    /// Five simulated engines on a private Postgres, kills of everything, and the proof that nothing was lost
    Demo(demo::Args),
    /// Remove slot, publication, schema pgtape and the data directory
    Uninstall(consent::Consent),
}

/// What a verb works with.
struct Context {
    config: Config,
    out: Output,
}

/// Runs the program; the exit code is one of `refusal::Kind`, or 0.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = config::arguments();
    // A command line that cannot be parsed may still say in which form it wants to be told so.
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, Output::new(json)),
    };
    let out = Output::new(cli.json);
    match execute(cli, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            out.refusal(&refusal);
            ExitCode::from(refusal.kind.exit_code())
        }
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    refuse_empty(&command, &matches)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// An option given with nothing (`--tables "$UNSET"`) is a mistake, not a wish for the default. In the environment an
/// empty variable is one that is not set.
fn refuse_empty(command: &clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let typed = matches.value_source(id) == Some(ValueSource::CommandLine);
        if typed && matches.get_raw(id).into_iter().flatten().any(|value| value.is_empty()) {
            return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, format!("{argument} is empty")));
        }
    }
    match matches.subcommand() {
        Some((name, below)) => refuse_empty(command.find_subcommand(name).expect("it was parsed"), below),
        None => Ok(()),
    }
}

fn execute(mut cli: Cli, out: Output) -> Result<(), Refusal> {
    let serving = match &mut cli.verb {
        Verb::Run(args) => {
            cli.overrides.sinks.clone_from(&args.sinks);
            true
        }
        Verb::Demo(args) => {
            args.data_dir.clone_from(&cli.overrides.data_dir);
            false
        }
        _ => false,
    };
    let environment = Environment::of_process();
    if let Some(specification) = &environment.failpoints {
        failpoints::arm(specification)?;
    }
    let config = Config::load(&cli.overrides, &environment)?;
    logging::start(config.log, serving);
    let context = Context { config, out };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| {
        Refusal::new(Kind::Locked, format!("threads cannot be started: {e}"), "check the limits of this user")
    })?;
    let result = runtime.block_on(dispatch(cli.verb, &context));
    runtime.shutdown_timeout(BACKGROUND_MAX);
    result
}

async fn dispatch(verb: Verb, context: &Context) -> Result<(), Refusal> {
    match verb {
        Verb::Run(_) => run::run(context).await,
        Verb::Migrate(verb) => migrate::run(verb, context).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Status => status::run(context).await,
        Verb::Verify(args) => verify::run(args, context).await,
        Verb::Tape(verb) => tape::run(verb, context).await,
        Verb::Quarantine(verb) => quarantine::run(verb, context).await,
        Verb::Outbox(verb) => outbox::run(verb, context).await,
        Verb::Slot(verb) => slot::run(verb, context).await,
        Verb::Sink(verb) => sink::run(verb, context).await,
        Verb::Kafka(verb) => kafka::run(verb, context).await,
        Verb::Simulate(args) => simulate::run(args, context).await,
        Verb::Demo(args) => demo::run(args, context).await,
        Verb::Uninstall(consent) => uninstall::run(consent, context).await,
    }
}

/// Help and version go to stdout; everything else is one line on stderr.
fn usage(error: &clap::Error, out: Output) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !out.is_json() {
        let _ = error.print();
        return ExitCode::from(Kind::Usage.exit_code());
    }
    let what = match error.kind() {
        clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => {
            let text = error.render().to_string();
            let first: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
            first.join(" ").trim_start_matches("error: ").to_owned()
        }
    };
    out.refusal(&Refusal::new(Kind::Usage, what, "pgtape --help lists what there is"));
    ExitCode::from(Kind::Usage.exit_code())
}

/// Cancelled by SIGINT or SIGTERM, which then no longer end the process by themselves.
fn until_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let (Ok(mut interrupted), Ok(mut terminated)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return token;
    };
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        cancel.cancel();
    });
    token
}

/// Runs blocking work (files, the HTTP client) off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_same_options_stand_before_and_after_the_verb() {
        for line in ["pgtape --data-dir d run", "pgtape run --data-dir d", "pgtape slot show --data-dir d"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(cli.overrides.data_dir.as_deref(), Some(std::path::Path::new("d")), "{line}");
        }
    }

    #[test]
    fn position_commands_need_a_reason() {
        for verb in ["slot drop", "slot reset", "sink rewind rollup --to 0/0", "sink rebuild rollup", "uninstall"] {
            let parse = |rest: &str| Cli::try_parse_from(format!("pgtape {verb}{rest}").split(' ')).map(|_| ());
            assert!(parse("").is_err(), "{verb} was taken without a reason");
            assert!(parse(" --dry-run").is_ok(), "{verb} --dry-run");
            assert!(parse(" --reason x").is_ok(), "{verb} --reason x");
        }
    }
}
