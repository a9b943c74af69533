//! `pgtape tape`: look at the log. Needs no server and no running service, and disturbs neither.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Context, blocking, until_signal};
use crate::ops::{tape, when};
use crate::refusal::Refusal;

/// `cat --follow` looks at the tape's end this often.
const FOLLOW_POLL: Duration = Duration::from_millis(100);

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Segments, positions, sizes
    Info,
    /// Print transactions and their changes, one JSON object a line
    Cat(Cat),
    /// Read every byte and check it
    Verify,
}

#[derive(clap::Args)]
pub(super) struct Cat {
    /// Start after this position: 0/16B3748, 00000000016B3748.0000000003, or an RFC 3339 time
    #[arg(long, value_name = "POSITION")]
    from: Option<String>,
    /// Stop after this position
    #[arg(long, value_name = "POSITION")]
    to: Option<String>,
    /// Stop after this many transactions
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only heads of transactions, no rows
    #[arg(long)]
    heads: bool,
    /// Go on as the running service appends, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let (dir, out) = (context.config.tape.dir.clone(), context.out);
    // Without --follow a signal ends the program as it ends any other.
    let follow = matches!(&verb, Verb::Cat(Cat { follow: true, .. })).then(until_signal);
    blocking(move || {
        match verb {
            Verb::Info => {
                let info = tape::info(&dir)?;
                out.result(&info, || info.to_string());
            }
            Verb::Verify => {
                let verified = tape::verify(&dir)?;
                out.result(&verified, || verified.to_string());
            }
            Verb::Cat(cat) => {
                let position = |text: Option<String>| text.map(|text| when::position(&dir, &text)).transpose();
                let (after, to) = (position(cat.from)?, position(cat.to)?);
                let range = tape::Range { after, to, limit: cat.limit, heads: cat.heads };
                let stopped = || follow.as_ref().is_some_and(CancellationToken::is_cancelled);
                let wait = || {
                    std::thread::sleep(FOLLOW_POLL);
                    !stopped()
                };
                let wait = || follow.is_some() && wait();
                let totals = tape::cat(&dir, range, wait, |line| !stopped() && out.print(&line.to_string()))?;
                if out.is_json() {
                    out.result(&totals, String::new);
                }
            }
        }
        Ok(())
    })
    .await
}
