//! From the configuration as typed to the configuration as checked. Pure, but for the password file.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::raw::{self, Raw};
use super::units::{Bytes, Span};
use super::{
    Book, Config, Environment, Http, Index, Log, LogFormat, Overrides, Rollups, SinkName, Source, Standby, Tape,
};
use crate::model::{Pattern, TableName};
use crate::pg::Address;
use crate::refusal::{Kind, Refusal};

/// Postgres's bound on names, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// Smaller segments would be more files than data.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// A segment is recovered by reading it: not too large.
const SEGMENT_BYTES_MAX: u64 = 4 << 30;
/// Longer gathering would delay every confirmation.
const FSYNC_EVERY_MAX: Span = Span(std::time::Duration::from_secs(10));
/// Connections the first copy may take.
const COPY_JOBS_MAX: u32 = 16;
/// Requests at a time, at most.
const REQUESTS_MAX: u32 = 10_000;

/// A refusal that names the key.
pub(super) fn refuse(key: &str, what: impl std::fmt::Display, hint: &str) -> Refusal {
    Refusal::new(Kind::Usage, format!("{key}: {what}"), hint)
}

/// Lays flags and environment over what the file said.
pub(super) fn lay_over(raw: &mut Raw, flags: &Overrides, environment: &Environment) -> Result<(), Refusal> {
    let set = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    if let Some(url) = set(&flags.url).or_else(|| environment.database_url.clone()) {
        raw.postgres.url = url;
    }
    if let Some(list) = set(&flags.tables) {
        let patterns = Pattern::parse_list(&list).map_err(|entry| bad_pattern("--tables", &entry))?;
        raw.source.tables = patterns.iter().map(ToString::to_string).collect();
    }
    if let Some(slot) = set(&flags.slot) {
        raw.source.slot = slot;
    }
    if let Some(publication) = set(&flags.publication) {
        raw.source.publication = publication;
    }
    if let Some(dir) = flags.data_dir.as_ref().filter(|d| !d.as_os_str().is_empty()) {
        raw.data_dir = dir.to_str().map(str::to_owned).ok_or_else(|| refuse("--data-dir", "not UTF-8", ""))?;
    }
    let listen: Vec<&String> = flags.listen.iter().filter(|l| !l.is_empty()).collect();
    if let Some(last) = listen.last() {
        raw.http.listen = (*last).clone();
        // An address of the file is not meant by a flag for another one.
        raw.http.listen_anywhere = listen.iter().filter(|l| *l == last).count() > 1;
    }
    raw.http.listen_anywhere |= flags.listen_anywhere;
    if let Some(sinks) = &flags.sinks {
        raw.sinks = sinks.split(',').map(str::trim).filter(|s| !s.is_empty() && *s != "none").map(Into::into).collect();
    }
    Ok(())
}

/// The checked configuration.
pub(super) fn check(raw: Raw, environment: &Environment) -> Result<Config, Refusal> {
    if raw.data_dir.is_empty() {
        return Err(refuse("data_dir", "is empty", "name a directory, as in --data-dir ./pgtape-data"));
    }
    let data_dir = PathBuf::from(&raw.data_dir);
    let source = source(raw.source)?;
    let standby = standby(raw.standby, &source.tables)?;
    Ok(Config {
        sinks: sinks(&raw.sinks)?,
        drain: raw.drain.0,
        postgres: address(&raw.postgres, environment)?,
        source,
        tape: tape(raw.tape, &data_dir)?,
        standby,
        rollups: rollups(raw.rollups)?,
        kafka: super::kafka::check(raw.kafka, environment)?,
        http: http(&raw.http)?,
        log: log(&raw.log)?,
        data_dir,
        listen_named: false,
    })
}

fn sinks(names: &[String]) -> Result<Vec<SinkName>, Refusal> {
    let mut sinks = Vec::new();
    for name in names {
        let sink = match name.as_str() {
            "standby" => SinkName::Standby,
            "rollup" => SinkName::Rollup,
            "kafka" => SinkName::Kafka,
            other => {
                let hint = "there are standby, rollup and kafka";
                return Err(refuse("sinks", format!("'{other}' is not a sink"), hint));
            }
        };
        if !sinks.contains(&sink) {
            sinks.push(sink);
        }
    }
    if sinks.contains(&SinkName::Rollup) && !sinks.contains(&SinkName::Standby) {
        return Err(refuse("sinks", "rollup works on the rows that standby keeps", "choose standby,rollup"));
    }
    Ok(sinks)
}

fn address(raw: &raw::Postgres, environment: &Environment) -> Result<Option<Address>, Refusal> {
    if raw.url.is_empty() {
        return Ok(None);
    }
    let address: Address = raw.url.parse()?;
    let password = match (&environment.password, raw.password_file.as_str()) {
        (Some(password), _) => Some(password.clone()),
        (None, "") => None,
        (None, path) => Some(first_line_of("postgres.password_file", Path::new(path))?),
    };
    Ok(Some(match password {
        Some(password) => address.or_password(&password),
        None => address,
    }))
}

/// The first line of a file that only its owner may read.
pub(super) fn first_line_of(key: &str, path: &Path) -> Result<String, Refusal> {
    let unreadable = |e: std::io::Error| refuse(key, format!("{}: {e}", path.display()), "check path and permissions");
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("others may read {} (mode {:o})", path.display(), mode & 0o777);
        return Err(refuse(key, what, &format!("run chmod 600 {}", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn source(raw: raw::Source) -> Result<Source, Refusal> {
    let slot_fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if raw.slot.is_empty() || raw.slot.len() > NAME_BYTES_MAX || !raw.slot.bytes().all(slot_fits) {
        let what = format!("'{}' is not a slot name", raw.slot);
        return Err(refuse("source.slot", what, "use at most 63 of a-z, 0-9 and _"));
    }
    if raw.publication.is_empty() || raw.publication.len() > NAME_BYTES_MAX {
        let what = format!("'{}' is not a publication name", raw.publication);
        return Err(refuse("source.publication", what, "use 1 to 63 bytes"));
    }
    let tables: Result<Vec<Pattern>, Refusal> =
        raw.tables.iter().map(|t| Pattern::parse(t).ok_or_else(|| bad_pattern("source.tables", t))).collect();
    Ok(Source {
        slot: raw.slot,
        publication: raw.publication,
        tables: tables?,
        status_interval: positive("source.status_interval", raw.status_interval)?.0,
        frozen_after: positive("source.frozen_after", raw.frozen_after)?.0,
        heartbeat_every: positive("source.heartbeat_every", raw.heartbeat_every)?.0,
        decoding_memory_bytes: at_least("source.decoding_memory", raw.decoding_memory, 64 << 10)?,
        copy_jobs: count("source.copy_jobs", raw.copy_jobs, COPY_JOBS_MAX)?,
    })
}

pub(super) fn bad_pattern(key: &str, entry: &str) -> Refusal {
    refuse(key, format!("'{entry}' is not a table"), "write schema.table or schema.*, without quotes")
}

fn tape(raw: raw::Tape, data_dir: &Path) -> Result<Tape, Refusal> {
    if raw.dir.is_empty() {
        return Err(refuse("tape.dir", "is empty", "name a directory, relative to data_dir"));
    }
    let segment_bytes = at_least("tape.segment_bytes", raw.segment_bytes, SEGMENT_BYTES_MIN)?;
    if segment_bytes > SEGMENT_BYTES_MAX {
        return Err(refuse("tape.segment_bytes", format!("{} is too large", raw.segment_bytes), "at most 4 GiB"));
    }
    if raw.fsync_every > FSYNC_EVERY_MAX {
        return Err(refuse("tape.fsync_every", format!("{} is too long", raw.fsync_every), "at most 10 s"));
    }
    let budget = raw.budget_bytes.0;
    if budget != 0 && budget < 2 * segment_bytes {
        let hint = "make it several segments, or 0 for no bound";
        return Err(refuse("tape.budget_bytes", format!("{} is less than two segments", raw.budget_bytes), hint));
    }
    Ok(Tape {
        dir: data_dir.join(&raw.dir),
        segment_bytes,
        fsync_every: raw.fsync_every.0,
        compress: raw.compress,
        history: raw.history.0,
        budget_bytes: (budget != 0).then_some(budget),
        reserve_bytes: raw.reserve_bytes.0,
    })
}

/// Indexes and books of tables that are not captured (`--tables` names fewer than the file) are left out.
fn standby(raw: raw::Standby, tables: &[Pattern]) -> Result<Standby, Refusal> {
    let captured = |table: &TableName| tables.iter().any(|p| p.matches(table));
    let mut indexes: Vec<Index> = raw.indexes.iter().map(|text| index(text)).collect::<Result<_, _>>()?;
    let mut books: Vec<Book> = raw.books.into_iter().map(book).collect::<Result<_, _>>()?;
    for (i, book) in books.iter().enumerate() {
        if books[..i].iter().any(|earlier| earlier.engine == book.engine) {
            return Err(refuse("standby.books", format!("'{}' is there twice", book.engine), "name each engine once"));
        }
    }
    indexes.retain(|index| captured(&index.table));
    books.retain(|book| captured(&book.table));
    Ok(Standby {
        memory_max_bytes: at_least("standby.memory_max", raw.memory_max, 1 << 20)?,
        checkpoint_every: positive("standby.checkpoint_every", raw.checkpoint_every)?.0,
        indexes,
        books,
    })
}

/// `schema.table(column, column)`.
fn index(text: &str) -> Result<Index, Refusal> {
    let parse = || {
        let (table, columns) = text.strip_suffix(')')?.rsplit_once('(')?;
        let columns: Vec<String> = columns.split(',').map(|c| c.trim().to_owned()).collect();
        let named = columns.iter().all(|c| !c.is_empty());
        Some(Index { table: TableName::parse(table.trim())?, columns }).filter(|_| named)
    };
    let hint = "write it as schema.table(column, column)";
    parse().ok_or_else(|| refuse("standby.indexes", format!("'{text}' is not an index"), hint))
}

fn book(raw: raw::Book) -> Result<Book, Refusal> {
    const KEY: &str = "standby.books";
    let hint = "compare with the books in config/pgtape.toml";
    let named = [&raw.engine, &raw.side, &raw.price, &raw.quantity].iter().all(|t| !t.is_empty());
    if !named || raw.market.is_empty() || raw.bid.is_empty() || raw.ask.is_empty() {
        return Err(refuse(KEY, format!("the book '{}' leaves a key empty", raw.engine), hint));
    }
    if raw.state.is_empty() != raw.resting.is_empty() {
        return Err(refuse(KEY, format!("the book '{}' needs both state and resting, or neither", raw.engine), hint));
    }
    let table = TableName::parse(&raw.table).ok_or_else(|| bad_pattern(KEY, &raw.table))?;
    Ok(Book {
        engine: raw.engine,
        table,
        market: raw.market,
        side: raw.side,
        bid: raw.bid,
        ask: raw.ask,
        price: raw.price,
        quantity: raw.quantity,
        resting: (!raw.state.is_empty()).then_some((raw.state, raw.resting)),
    })
}

fn rollups(raw: raw::Rollups) -> Result<Rollups, Refusal> {
    Ok(Rollups {
        names: raw.names,
        flush_every: raw.flush_every.0,
        memory_max_bytes: at_least("rollups.memory_max", raw.memory_max, 1 << 20)?,
    })
}

fn http(raw: &raw::Http) -> Result<Http, Refusal> {
    let listen: SocketAddr = raw.listen.replace("localhost:", "127.0.0.1:").parse().map_err(|_| {
        refuse("http.listen", format!("'{}' is not an address", raw.listen), "write it as 127.0.0.1:7654")
    })?;
    if !listen.ip().is_loopback() && !raw.listen_anywhere {
        let what =
            format!("{listen} is reachable from other machines, and whoever reaches it reads every captured row");
        let hint = "if that is meant, say it twice: add --listen-anywhere (or http.listen_anywhere = true)";
        return Err(refuse("http.listen", what, hint));
    }
    Ok(Http {
        listen,
        requests_max: count("http.requests_max", raw.requests_max, REQUESTS_MAX)?,
        snapshots_max: count("http.snapshots_max", raw.snapshots_max, REQUESTS_MAX)?,
        request_timeout: positive("http.request_timeout", raw.request_timeout)?.0,
    })
}

fn log(raw: &raw::Log) -> Result<Log, Refusal> {
    let format = match raw.format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => return Err(refuse("log.format", format!("'{other}' is not a format"), "write text or json")),
    };
    let level = raw.level.parse().map_err(|_| {
        refuse("log.level", format!("'{}' is not a level", raw.level), "write error, warn, info, debug or trace")
    })?;
    Ok(Log { format, level })
}

pub(super) fn positive(key: &str, span: Span) -> Result<Span, Refusal> {
    if span.0.is_zero() { Err(refuse(key, "must be more than zero", "write it like \"1 s\"")) } else { Ok(span) }
}

pub(super) fn at_least(key: &str, bytes: Bytes, min: u64) -> Result<u64, Refusal> {
    let least = Bytes(min);
    if bytes < least {
        Err(refuse(key, format!("{bytes} is too small"), &format!("at least {least}")))
    } else {
        Ok(bytes.0)
    }
}

fn count(key: &str, n: u32, max: u32) -> Result<usize, Refusal> {
    if n == 0 || n > max {
        return Err(refuse(key, format!("{n} is out of range"), &format!("write 1 to {max}")));
    }
    usize::try_from(n).map_err(|e| refuse(key, e, ""))
}
