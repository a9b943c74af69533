//! `pgtape simulate`: seeded engines that commit to Postgres.

use std::path::PathBuf;

use super::{Context, client, until_signal};
use crate::engines::Name;
use crate::refusal::Refusal;
use crate::sim::{self, SimSettings};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The engines, separated by commas
    #[arg(long, value_name = "LIST", default_value = "perplex,openmatch,aether,meltica,worker")]
    engines: String,
    /// Business events a second, of each engine
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long; 0 until it is stopped
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// End when each actor has so many acknowledged events, over all runs with the same record
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// The same seed and start make the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulated time of the first event [default: now; a record that exists keeps its own]
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,
    /// Where to note, fsynced, what Postgres has acknowledged [default: sim in the data directory]
    #[arg(long, value_name = "DIR")]
    record_dir: Option<PathBuf>,
    /// Have restarting engines take their state from the running service's snapshot
    #[arg(long)]
    rehydrate: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let engines: Result<Vec<Name>, Refusal> = args.engines.split(',').map(|name| name.trim().parse()).collect();
    let settings = SimSettings {
        address: context.config.address()?.clone(),
        engines: engines?,
        rate: args.rate,
        seconds: args.seconds,
        events_max: args.events,
        seed: args.seed,
        start_us: args.start.unwrap_or_else(jiff::Timestamp::now).as_microsecond(),
        record_dir: args.record_dir.unwrap_or_else(|| context.config.data_dir.join("sim")),
        standby_url: args.rehydrate.then(|| client::base_url(&context.config)),
    };
    let report = sim::run(settings, until_signal()).await.map_err(sim::Error::into_refusal)?;
    let text = || {
        let line = |(actor, did): (&String, &sim::ActorReport)| {
            format!("{actor}: {} events, {} acknowledged in all", did.events, did.acknowledged)
        };
        report.actors.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    context.out.result(&report, text);
    Ok(())
}
