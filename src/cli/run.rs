//! `pgtape run`: the service.

use super::Context;
use crate::refusal::Refusal;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The sinks to feed: standby, rollup, or none for the tape alone [default: standby,rollup]
    #[arg(long, value_name = "LIST")]
    pub sinks: Option<String>,
}

pub(super) async fn run(context: &Context) -> Result<(), Refusal> {
    context.config.address()?;
    context.config.tables()?;
    crate::run::run(context.config.clone(), super::version::text()).await
}
