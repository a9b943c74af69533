//! `pgtape run`: the service.

use super::Context;
use crate::refusal::Refusal;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The sinks to feed: standby, rollup, kafka, or none for the tape alone [default: all three]
    #[arg(long, value_name = "LIST")]
    pub sinks: Option<String>,
}

pub(super) async fn run(context: &Context) -> Result<(), Refusal> {
    context.config.address()?;
    context.config.tables()?;
    let stopped = crate::run::run(context.config.clone(), super::version::text()).await?;
    if context.out.is_json() {
        context.out.result(&stopped, String::new);
    }
    Ok(())
}
