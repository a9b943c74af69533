//! `pgtape sink`: positions of the sinks.

use super::consent::{Consent, Terminal, tell};
use super::{Context, version};
use crate::ops::{self, rewind, sink};
use crate::refusal::Refusal;
use crate::run;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say where each sink is, durably
    Show,
    /// Take a roll-up back to an earlier position; the service replays from there
    Rewind {
        /// The roll-up, as `sink show` names it
        name: String,
        /// 0/16B3748, 00000000016B3748.0000000003, or an RFC 3339 time
        #[arg(long, value_name = "POSITION")]
        to: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Make a roll-up anew from Postgres, by its SELECT; the service must be stopped
    Rebuild {
        /// The roll-up, as `sink show` names it
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let (config, out) = (&context.config, context.out);
    match verb {
        Verb::Show => {
            let sinks = sink::show(config).await?;
            out.result(&sinks, || sinks.to_string());
        }
        Verb::Rewind { name, to, consent } => {
            let command = rewind::Rewind { config, name: &name, to: &to };
            tell(&ops::perform(&command, &consent.terms(), &Terminal(out), config).await?, out);
        }
        Verb::Rebuild { name, consent } => {
            let rebuild = async |rollup: std::sync::Arc<dyn crate::sinks::rollup::RollUp>| {
                run::rebuild_once(config.clone(), version::text(), &*rollup).await
            };
            let command = rewind::Rebuild { config, name: &name, rebuild };
            tell(&ops::perform(&command, &consent.terms(), &Terminal(out), config).await?, out);
        }
    }
    Ok(())
}
