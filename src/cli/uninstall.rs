//! `pgtape uninstall`: leave nothing behind.

use super::Context;
use super::consent::{Consent, Terminal, tell};
use crate::ops::{self, uninstall::Uninstall};
use crate::refusal::Refusal;

pub(super) async fn run(consent: Consent, context: &Context) -> Result<(), Refusal> {
    let command = Uninstall { config: &context.config };
    let outcome = ops::perform(&command, &consent.terms(), &Terminal(context.out), &context.config).await?;
    tell(&outcome, context.out);
    Ok(())
}
