//! `pgtape migrate`: tables of the engines, of pgtape, publication and roles.

use super::Context;
use crate::refusal::{Kind, Refusal};

#[derive(clap::Args)]
pub(super) struct Args {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    /// Only this part: pgtape, ledger, perplex, openmatch, aether, meltica, worker, ..
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Action {
    /// Apply what is missing
    Up,
    /// Take everything back, newest first
    Down,
    /// Say what is applied
    Status,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let _ = (args.action, args.only, context.config.address()?);
    Err(Refusal::new(Kind::Usage, "migrate is not written yet", ""))
}
