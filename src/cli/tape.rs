//! `pgtape tape`: look at the log. Needs no server and no running service, and disturbs neither.

use super::Context;
use crate::refusal::{Kind, Refusal};

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
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let _ = context.out.is_json();
    match verb {
        Verb::Info | Verb::Verify => {}
        Verb::Cat(cat) => drop((cat.from, cat.to, cat.limit, cat.heads)),
    }
    Err(Refusal::new(Kind::Usage, "tape is not written yet", ""))
}
