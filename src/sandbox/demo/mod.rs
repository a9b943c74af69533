//! The demo: five engines on a private Postgres, the service beside them, kills of all three, and the proof.
//!
//! ```text
//!  simulate x 5 --commit--> Postgres --slot--> pgtape run --HTTP--> this process: screen, strikes, proof
//! ```
//!
//! Invariant: each part is a process of its own, so that a SIGKILL here is what it is in production. Nothing is left
//! running, and only the data directory the caller named is left on disk.

mod broker;
mod cast;
mod proof;
mod report;
mod screen;
mod strikes;
mod topics;
mod view;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::model::TableName;
use crate::refusal::Refusal;

use super::Error;
use cast::Cast;
use screen::Screen;
use strikes::Strikes;
use view::View;

pub use broker::Kafka;
pub use report::Report;
pub use topics::Topics;

/// How often the strikes are looked at and the screen is drawn.
const TICK: Duration = Duration::from_millis(250);
/// A shorter demo has no room for its kills.
pub const SECONDS_MIN: u64 = 10;

/// What to show.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program pgtape.
    pub program: PathBuf,
    /// The service's configuration, as text.
    pub config: String,
    /// The books that configuration keeps.
    pub books: Vec<Book>,
    /// How long the engines work.
    pub seconds: u64,
    /// Business events a second, of each engine.
    pub rate: u32,
    /// The engines' seed.
    pub seed: u64,
    /// The service's data directory, kept afterwards; `None`: a temporary one.
    pub data_dir: Option<PathBuf>,
    /// Where the Kafka broker is from; `None`: without topics.
    pub kafka: Option<Kafka>,
    /// Whether stderr is a terminal to draw on; else events are told line by line.
    pub live: bool,
}

/// Where a book's markets are found.
#[derive(Debug, Clone)]
pub struct Book {
    /// The engine in the book's path.
    pub engine: String,
    /// The table of its orders.
    pub table: TableName,
    /// The columns that name the market, joined by `:`.
    pub market: Vec<String>,
}

/// Runs the demo. Blocks; must not be called on one of `runtime`'s own threads.
///
/// # Errors
/// A part could not be started or did not come back. A proof that fails is not an error: see [`Report::ok`].
pub fn run(settings: &Settings, runtime: &Handle) -> Result<Report, Error> {
    let mut screen = Screen::new(settings.live, settings.seconds);
    screen.event("starting a private Postgres");
    let mut cast = Cast::assemble(settings, &mut screen)?;
    let mut strikes = Strikes::over(settings.seconds);
    let mut view = View::new(&cast, settings.books.clone())?;
    let opened = Instant::now();
    while opened.elapsed() < Duration::from_secs(settings.seconds) {
        strikes.carry_out(opened.elapsed(), &mut cast, &mut screen)?;
        cast.check()?;
        screen.draw(opened.elapsed(), &view.look(runtime));
        sleep(TICK);
    }
    strikes.carry_out(Duration::MAX, &mut cast, &mut screen)?;
    screen.event("the engines end; waiting until the service has seen all they did");
    cast.finish_engines()?;
    screen.draw(opened.elapsed(), &view.look(runtime));
    let proof = proof::prove(&mut cast, runtime, &mut screen)?;
    Ok(Report::new(&proof, &strikes))
}

impl From<crate::pg::Error> for Error {
    fn from(error: crate::pg::Error) -> Self {
        Error::Refused(error.into_refusal("ask the private Postgres"))
    }
}

impl From<crate::sim::record::Error> for Error {
    fn from(error: crate::sim::record::Error) -> Self {
        let refusal: Refusal = crate::sim::Error::from(error).into_refusal();
        Error::Refused(refusal)
    }
}
