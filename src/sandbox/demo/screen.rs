//! One screen of text on stderr: plain ANSI on a terminal, one line an event elsewhere. Knows how things look, nothing
//! else.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::view::{Day, Look};

/// Events kept on the screen.
const EVENTS_SHOWN: usize = 8;
/// Without a terminal, a line of figures comes this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Longer figures are shortened.
const FIGURE_CHARS_MAX: usize = 16;

/// Where the demo is shown.
pub(super) struct Screen {
    live: bool,
    seconds: u64,
    started: Instant,
    events: VecDeque<String>,
    line_at: Duration,
    cleared: bool,
}

impl Screen {
    pub(super) fn new(live: bool, seconds: u64) -> Self {
        let (events, line_at) = (VecDeque::new(), Duration::ZERO);
        Self { live, seconds, started: Instant::now(), events, line_at, cleared: false }
    }

    /// Tells what happened.
    pub(super) fn event(&mut self, text: &str) {
        let line = format!(
            "{:>6}.{} s  {text}",
            self.started.elapsed().as_secs(),
            self.started.elapsed().subsec_millis() / 100
        );
        if !self.live || !self.cleared {
            eprintln!("{line}");
        }
        if self.events.len() == EVENTS_SHOWN {
            self.events.pop_front();
        }
        self.events.push_back(line);
    }

    /// Shows the figures.
    pub(super) fn draw(&mut self, elapsed: Duration, look: &Look) {
        if !self.live {
            if elapsed >= self.line_at {
                eprintln!("{}", line(look));
                self.line_at = elapsed + LINE_EVERY;
            }
            return;
        }
        let mut text = String::from(if self.cleared { "\x1b[H" } else { "\x1b[2J\x1b[H" });
        self.cleared = true;
        for line in self.page(elapsed, look).lines() {
            let _ = writeln!(text, "{line}\x1b[K");
        }
        text.push_str("\x1b[J");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn page(&self, elapsed: Duration, look: &Look) -> String {
        let mut page = format!("pgtape demo   {} of {} s\n\n", elapsed.as_secs().min(self.seconds), self.seconds);
        page += &engines(look);
        page.push('\n');
        page += &service(&look.status);
        page.push('\n');
        for event in &self.events {
            page += event;
            page.push('\n');
        }
        page
    }
}

/// A table of the engines.
fn engines(look: &Look) -> String {
    let mut text = format!(
        "{:<10}{:>8}{:>10}{:>8}  {:<50} {:<18}{:>16}{:>16}\n",
        "engine", "rows/s", "rows", "fills", "today", "market", "bid", "ask"
    );
    for (schema, rows) in &look.rows {
        let (day, top) = (look.days.get(schema), look.tops.get(schema));
        let figure = |value: Option<&String>| value.map_or_else(|| "-".to_owned(), |v| tidy(v));
        let _ = writeln!(
            text,
            "{schema:<10}{:>8}{rows:>10}{:>8}  {:<50} {:<18}{:>16}{:>16}",
            look.rates.get(schema).copied().unwrap_or_default(),
            figure(day.and_then(|d| d.fills.as_ref())),
            day.map_or_else(|| "-".to_owned(), today),
            top.map_or("-", |t| t.market.as_str()),
            figure(top.map(|t| &t.bid)),
            figure(top.map(|t| &t.ask)),
        );
    }
    text
}

/// The day's P&L; where that is not computed, volume and fees.
fn today(day: &Day) -> String {
    let known = match &day.net {
        Some(net) => vec![("P&L", net)],
        None => [("volume", &day.volume), ("fees", &day.fees)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .collect(),
    };
    if known.is_empty() {
        return "-".into();
    }
    let figures: Vec<String> = known.iter().map(|(name, value)| format!("{name} {}", tidy(value))).collect();
    format!("{} {}", figures.join(", "), day.asset)
}

/// The service, its tape and its sinks.
fn service(status: &Value) -> String {
    if status.is_null() {
        return "service               DOWN\n".into();
    }
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!(
        "tape                  {} in {} segments, durable to {}; the slot keeps {} of WAL\n",
        bytes(number("/tape/bytes")),
        number("/tape/segments"),
        status.pointer("/tape/durable").and_then(Value::as_str).unwrap_or("-"),
        bytes(number("/slot/retained_bytes"))
    );
    for sink in status["sinks"].as_array().into_iter().flatten() {
        let number = |name: &str| sink[name].as_u64().unwrap_or_default();
        let word = |name: &str| sink[name].as_str().unwrap_or("-").to_owned();
        let lag = (bytes(number("lag_bytes")), number("lag_ms"));
        let _ = writeln!(text, "{:<22}{}, {} behind ({} ms)", word("sink"), word("state"), lag.0, lag.1);
    }
    text
}

/// Everything in one line.
fn line(look: &Look) -> String {
    if look.status.is_null() {
        return "            service down".into();
    }
    let rates: Vec<String> = look.rates.iter().map(|(schema, rate)| format!("{schema} {rate}/s")).collect();
    let tape = look.status.pointer("/tape/bytes").and_then(Value::as_u64).unwrap_or_default();
    format!("            {}; tape {}", rates.join(", "), bytes(tape))
}

/// Bytes in the largest unit that leaves at least 10.
fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let unit = (0..units.len()).rev().find(|unit| count >> (10 * unit) >= 10).unwrap_or_default();
    format!("{} {}", count >> (10 * unit), units[unit])
}

/// A figure without the zeros that its scale adds. One too long for its column loses decimals, a longer one is told by
/// its first digits and the power of ten.
fn tidy(figure: &str) -> String {
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let short = trimmed(figure);
    if short.len() < FIGURE_CHARS_MAX || !short.is_ascii() {
        return short;
    }
    let whole = short.split('.').next().unwrap_or_default();
    if whole.len() < FIGURE_CHARS_MAX {
        return trimmed(&short[..FIGURE_CHARS_MAX - 1]);
    }
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    format!("{sign}{}.{}e{}", &digits[..1], &digits[1..4], digits.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::{Day, bytes, tidy, today};

    #[test]
    fn figures_fit_their_columns() {
        assert_eq!(
            (bytes(0), bytes(10_239), bytes(10_240), bytes(20 << 30)),
            ("0 B".into(), "10239 B".into(), "10 KiB".into(), "20 GiB".into())
        );
        let check = |figure: &str, want: &str| assert_eq!(tidy(figure), want);
        check("-12.500", "-12.5");
        check("3.00", "3");
        check("100", "100");
        check("-0.000123", "-0.000123");
        check("123456789012.345678", "123456789012.34");
        check("123456789012345.678", "123456789012345");
        check("-12345678901234567890.5", "-1.234e19");
    }

    #[test]
    fn the_day_is_told_by_what_is_computed() {
        let some = |text: &str| Some(text.to_owned());
        let check = |day: Day, want: &str| assert_eq!(today(&day), want);
        check(Day { asset: "ETH".into(), net: some("0.250000"), fees: some("1"), ..Day::default() }, "P&L 0.25 ETH");
        check(
            Day { asset: "USDC".into(), volume: some("10"), fees: some("0.5"), ..Day::default() },
            "volume 10, fees 0.5 USDC",
        );
        check(Day { asset: "EUR".into(), volume: some("10"), ..Day::default() }, "volume 10 EUR");
        check(Day::default(), "-");
    }
}
