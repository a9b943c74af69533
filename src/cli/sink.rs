//! `pgtape sink`: positions of the sinks.

use super::Context;
use super::consent::Consent;
use crate::ops::sink;
use crate::refusal::{Kind, Refusal};

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say where each sink is
    Show,
    /// Take a roll-up back to an earlier position and replay from there
    Rewind {
        /// The sink, as `sink show` names it
        name: String,
        /// 0/16B3748, 00000000016B3748.0000000003, or an RFC 3339 time
        #[arg(long, value_name = "POSITION")]
        to: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Recompute a roll-up from Postgres by its SELECT
    Rebuild {
        /// The sink, as `sink show` names it
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    match verb {
        Verb::Show => {
            let sinks = sink::show(&context.config).await?;
            context.out.result(&sinks, || sinks.to_string());
            return Ok(());
        }
        Verb::Rewind { name, to, consent } => drop((name, to, consent.terms())),
        Verb::Rebuild { name, consent } => drop((name, consent.terms())),
    }
    Err(Refusal::new(Kind::Usage, "sink is not written yet", ""))
}
