//! `pgtape migrate`: tables of the engines, of pgtape, publication and roles.

use serde_json::json;

use super::Context;
use crate::engines::migrate;
use crate::refusal::Refusal;

#[derive(clap::Args)]
pub(super) struct Args {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    /// Only this unit: pgtape, ledger, perplex, openmatch, aether, meltica, worker, ..
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Action {
    /// Apply what is missing
    Up,
    /// Take everything back, newest first; the tables go with their rows
    Down,
    /// Say what is applied
    Status,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let action = match args.action {
        Action::Up => migrate::Action::Up,
        Action::Down => migrate::Action::Down,
        Action::Status => migrate::Action::Status,
    };
    let report = migrate::run(context.config.address()?, action, args.only.as_deref()).await?;
    context.out.result(&json!({"changed": report.changed(), "migrations": report.lines}), || report.to_string());
    Ok(())
}
