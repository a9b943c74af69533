//! Where words go: results to stdout, everything else to stderr.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::refusal::Refusal;

/// Whether the one object of `--json` stands on stdout: a fact of the process, as stdout is.
static RESULT_GIVEN: AtomicBool = AtomicBool::new(false);

/// The two streams, and whether the result is to be JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// The result: `object` with `--json`, else `text`. Call it once, last.
    pub(super) fn result(self, object: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            match serde_json::to_string(object) {
                Ok(line) => {
                    RESULT_GIVEN.store(true, Ordering::Relaxed);
                    self.print(&line);
                }
                Err(error) => self.aside(&format!("the result cannot be written as JSON: {error}")),
            }
        } else {
            self.print(text().trim_end());
        }
    }

    /// A line of a result that is a stream of lines. False when the reader has gone away (`| head`): not our error.
    pub(super) fn print(self, line: &str) -> bool {
        writeln!(std::io::stdout().lock(), "{line}").is_ok()
    }

    /// Something a person should read that is not the result.
    pub(super) fn aside(self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// The last words of a command that failed: one line on stderr, and with `--json` the same as an object, unless the
    /// command has given its result already, as one that found something does.
    pub(super) fn refusal(self, refusal: &Refusal) {
        let line: Vec<&str> = refusal.what.lines().chain(refusal.hint.lines()).map(str::trim).collect();
        let (what, hint) = line.split_at(refusal.what.lines().count());
        let separator = if hint.is_empty() { "" } else { "; " };
        self.aside(&format!("pgtape: {}{separator}{}", what.join(" "), hint.join(" ")));
        if self.json && !RESULT_GIVEN.swap(true, Ordering::Relaxed) {
            let error = serde_json::json!({
                "error": {"code": refusal.kind.code(), "message": refusal.what, "hint": refusal.hint, "position": null}
            });
            self.print(&error.to_string());
        }
    }
}

/// Whether somebody is there to answer a question.
pub(super) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
