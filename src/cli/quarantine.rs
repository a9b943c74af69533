//! `pgtape quarantine`: rows that a sink could not use.

use super::Context;
use super::consent::{Consent, Terminal, tell};
use crate::ops::{self, quarantine};
use crate::refusal::Refusal;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say what is in quarantine, and why
    List {
        /// Only this sink, as status names it: standby (its books), or a roll-up's name
        #[arg(long)]
        sink: Option<String>,
    },
    /// Take rows off the list; they stay out of the sink until they change
    Discard {
        /// The sink
        #[arg(long)]
        sink: String,
        /// A row, by the id that list shows; may be repeated
        #[arg(long = "id", value_name = "ID", required_unless_present = "all")]
        ids: Vec<String>,
        /// All rows of the sink
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let config = &context.config;
    match verb {
        Verb::List { sink } => {
            let listing = quarantine::list(config, sink.as_deref())?;
            context.out.result(&listing, || listing.to_string());
        }
        Verb::Discard { sink, ids, all: _, consent } => {
            let command = quarantine::Discard { config, sink: &sink, ids: &ids };
            tell(&ops::perform(&command, &consent.terms(), &Terminal(context.out), config).await?, context.out);
        }
    }
    Ok(())
}
