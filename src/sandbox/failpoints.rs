//! Fault injection: the places where tests stop, kill or fail the program, and how they are told to.
//!
//! A specification is `name=action` parts separated by `;`. The actions are those of the crate `fail` (`sleep(100)`,
//! `return`, `pause`, `panic`), and `kill@N`: SIGKILL of this process at the N-th passing. Compiled in with the cargo
//! feature `failpoints` only.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::refusal::{Kind, Refusal};

/// Arms the points that `specification` names.
///
/// # Errors
/// The points are not compiled in, or the text cannot be read.
pub fn arm(specification: &str) -> Result<(), Refusal> {
    let refuse = |what: String| {
        let hint = "write PGTAPE_FAILPOINTS='name=kill@3;other=return' for a build with --features failpoints";
        Refusal::new(Kind::Usage, what, hint)
    };
    if !fail::has_failpoints() {
        return Err(refuse("this build has no failpoints".into()));
    }
    for part in specification.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, action) = part.split_once('=').ok_or_else(|| refuse(format!("failpoint '{part}' has no action")))?;
        let armed = match action.strip_prefix("kill@") {
            Some(passing) => {
                let passing =
                    passing.parse().map_err(|_| refuse(format!("'{passing}' is not a number of passings")))?;
                kill_at(name, passing)
            }
            None => fail::cfg(name, action),
        };
        armed.map_err(|e| refuse(format!("failpoint '{part}': {e}")))?;
    }
    Ok(())
}

/// As sudden as from outside: nothing is flushed, nothing is dropped.
fn kill_at(name: &str, passing: u64) -> Result<(), String> {
    let passed = AtomicU64::new(0);
    fail::cfg_callback(name, move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 >= passing {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    })
}
