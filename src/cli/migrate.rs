//! `pgtape migrate`: tables of the engines, of pgtape, publication and roles.

use std::sync::OnceLock;

use serde_json::json;

use super::Context;
use super::consent::Terminal;
use super::output::somebody_is_there;
use crate::engines::migrate::{self, Action, Down};
use crate::ops;
use crate::refusal::Refusal;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Apply what is missing
    Up(Only),
    /// Take everything back, newest first; the tables go with their rows, so it asks at a terminal
    Down(Back),
    /// Say what is applied
    Status(Only),
}

#[derive(clap::Args)]
pub(super) struct Only {
    /// Only this unit: pgtape, ledger, perplex, openmatch, aether, meltica or worker
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Back {
    #[command(flatten)]
    only: Only,
    /// Only say what would be lost
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Why: kept in the operator log, where that stays
    #[arg(long, value_name = "TEXT", default_value = "none was given")]
    reason: String,
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    match verb {
        Verb::Up(Only { only }) => forward(Action::Up, only.as_deref(), context).await,
        Verb::Status(Only { only }) => forward(Action::Status, only.as_deref(), context).await,
        Verb::Down(args) => down(args, context).await,
    }
}

async fn forward(action: Action, only: Option<&str>, context: &Context) -> Result<(), Refusal> {
    let report = migrate::run(context.config.address()?, action, only).await?;
    context.out.result(&json!({"changed": report.changed(), "migrations": report.lines}), || report.to_string());
    Ok(())
}

async fn down(args: Back, context: &Context) -> Result<(), Refusal> {
    let Back { only: Only { only }, dry_run, yes, reason } = args;
    let command = Down { address: context.config.address()?, only: only.as_deref(), report: OnceLock::new() };
    // A script that says `down` means it, as it means `up`; a person at a terminal is asked.
    let terms = ops::Terms { dry_run, yes: yes || !somebody_is_there(), reason };
    let outcome = ops::perform(&command, &terms, &Terminal(context.out), &context.config).await?;
    let report = command.report.into_inner().unwrap_or_default();
    let object = json!({
        "done": outcome.done, "changed": report.changed(), "migrations": report.lines,
        "plan": outcome.plan, "logged_in": outcome.logged_in,
    });
    context.out.result(&object, || match outcome.done {
        true => report.to_string(),
        false => "nothing was changed (--dry-run)".into(),
    });
    Ok(())
}
