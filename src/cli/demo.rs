//! `pgtape demo`: five engines, kills, and the proof that nothing was lost.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::{Context, blocking};
use crate::config::{Config, this_program};
use crate::refusal::{Kind, Refusal};
use crate::sandbox::demo::{self, Book, Kafka, Settings};
use crate::sandbox::{Error, KafkaPrograms};

/// What the demo's service runs with; built in, so that an installed program needs no file.
const CONFIG: &str = include_str!("../../config/demo.toml");

/// `--kafka` without an address; no host is called so without a port.
const PRIVATE: &str = "private";

#[derive(clap::Args)]
pub(super) struct Args {
    /// How long the engines work
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(demo::SECONDS_MIN..=86_400))]
    seconds: u64,
    /// Business events a second, of each engine
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// The same seed makes the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With topics on a private Kafka broker (needs Java), or on the one that is named, as --kafka=host:9092, under a prefix
    /// of their own; read back by another program (needs kcat)
    #[arg(long, value_name = "BROKER", num_args = 0..=1, require_equals = true, default_missing_value = PRIVATE)]
    kafka: Option<String>,
    /// Where the private broker's jars are: `deploy/kafka/kafka.sh fetch` gets them
    #[arg(long, value_name = "DIR", default_value = "target/kafka/libs")]
    kafka_jars: PathBuf,
    /// `--data-dir`; kept afterwards.
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let settings = settings(args)?;
    let runtime = tokio::runtime::Handle::current();
    let out = context.out;
    let report = blocking(move || {
        demo::run(&settings, &runtime).map_err(|error| {
            if let Error::Program { output, .. } = &error {
                out.aside(output);
            }
            error.into_refusal()
        })
    })
    .await?;
    out.result(&report, || report.to_string());
    if report.ok {
        return Ok(());
    }
    Err(Refusal::new(Kind::Finding, "the demo found a difference", "see the findings above"))
}

fn settings(args: Args) -> Result<Settings, Refusal> {
    let config = Config::from_text(CONFIG, "config/demo.toml")?;
    let books = config.standby.books.into_iter();
    let books = books.map(|book| Book { engine: book.engine, table: book.table, market: book.market }).collect();
    Ok(Settings {
        program: this_program()?,
        config: CONFIG.to_owned(),
        books,
        seconds: args.seconds,
        rate: args.rate,
        seed: args.seed,
        data_dir: args.data_dir,
        kafka: match args.kafka {
            None => None,
            Some(address) if address == PRIVATE => Some(Kafka::Private(KafkaPrograms::at(&args.kafka_jars)?)),
            Some(address) => Some(Kafka::Running(address)),
        },
        live: std::io::stderr().is_terminal(),
    })
}
