//! `pgtape slot`: the replication slot.

use super::Context;
use super::consent::{Consent, Terminal, tell};
use crate::ops::{self, slot};
use crate::refusal::Refusal;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say where it is and what it keeps
    Show,
    /// Remove it: the server keeps no WAL for pgtape any more
    Drop(Consent),
    /// Have the next start take everything anew, under a new epoch
    Reset(Consent),
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let config = &context.config;
    match verb {
        Verb::Show => {
            let facts = slot::show(config).await?;
            context.out.result(&facts, || facts.to_string());
            Ok(())
        }
        Verb::Drop(consent) => {
            let outcome =
                ops::perform(&slot::Drop { config }, &consent.terms(), &Terminal(context.out), config).await?;
            tell(&outcome, context.out);
            Ok(())
        }
        Verb::Reset(consent) => {
            let command = slot::Reset { config };
            tell(&ops::perform(&command, &consent.terms(), &Terminal(context.out), config).await?, context.out);
            Ok(())
        }
    }
}
