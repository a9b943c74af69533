//! `pgtape quarantine`: rows that a sink could not use.

use super::Context;
use super::consent::Consent;
use crate::refusal::{Kind, Refusal};

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say what is in quarantine, and why
    List {
        /// Only this sink
        #[arg(long)]
        sink: Option<String>,
    },
    /// Forget rows in quarantine; they stay out of the sink until they change
    Discard {
        /// The sink
        #[arg(long)]
        sink: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) async fn run(verb: Verb, _context: &Context) -> Result<(), Refusal> {
    match verb {
        Verb::List { sink } => drop(sink),
        Verb::Discard { sink, consent } => drop((sink, consent.terms())),
    }
    Err(Refusal::new(Kind::Usage, "quarantine is not written yet", ""))
}
