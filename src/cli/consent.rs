//! The options of every command that moves a position or deletes, and the question it asks.

use std::io::{BufRead, Write};

use super::output::{Output, somebody_is_there};
use crate::ops::{Ask, Outcome, Plan};
use crate::refusal::{Kind, Refusal};

/// Say first, ask, and note why.
#[derive(clap::Args)]
pub(super) struct Consent {
    /// Only say what would be done, repeated or lost
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Why: kept in the operator log
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub reason: Option<String>,
}

impl Consent {
    /// As the operations take it.
    pub(super) fn terms(&self) -> crate::ops::Terms {
        crate::ops::Terms { dry_run: self.dry_run, yes: self.yes, reason: self.reason.clone().unwrap_or_default() }
    }
}

/// Says the plan on stderr and asks there.
pub(super) struct Terminal(pub Output);

impl Ask for Terminal {
    fn say(&self, plan: &Plan) {
        self.0.aside(plan.to_string().trim_end());
    }

    fn confirm(&self) -> Result<(), Refusal> {
        if !somebody_is_there() {
            let what = "nobody is there to confirm (stdin is not a terminal)";
            return Err(Refusal::new(Kind::NotConfirmed, what, "add --yes, or look first with --dry-run"));
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "Go on? Type yes: ");
        let _ = stderr.flush();
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(Refusal::new(Kind::NotConfirmed, "not confirmed, nothing was changed", ""))
    }
}

/// Says what a command has done.
pub(super) fn tell(outcome: &Outcome, out: Output) {
    out.result(outcome, || match outcome.done {
        true => "done".to_owned(),
        false => "nothing was changed (--dry-run)".to_owned(),
    });
}
