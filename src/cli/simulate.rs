//! `pgtape simulate`: seeded engines that commit to Postgres.

use std::path::PathBuf;

use super::Context;
use crate::refusal::{Kind, Refusal};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The engines, separated by commas
    #[arg(long, value_name = "LIST", default_value = "perplex,openmatch,aether,meltica,worker")]
    engines: String,
    /// Business events a second, of each engine
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The same seed makes the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to note, fsynced, what Postgres has acknowledged
    #[arg(long, value_name = "DIR")]
    record_dir: Option<PathBuf>,
    /// Rehydrate from the running service's snapshot before starting
    #[arg(long)]
    rehydrate: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let _ = (args.engines, args.rate, args.seconds, args.seed, args.record_dir, args.rehydrate);
    context.config.address()?;
    Err(Refusal::new(Kind::Usage, "simulate is not written yet", ""))
}
