//! What this program is: version, commit, the Postgres versions it speaks to, the tape format it writes.

use std::sync::LazyLock;

/// The servers it is tested with.
const POSTGRES: &str = "14-18";
/// The format of the tape's files.
const TAPE_FORMAT: u32 = 1;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("PGTAPE_COMMIT"));
    format!("{version} (commit {commit}, Postgres {POSTGRES}, tape format {TAPE_FORMAT})")
});

/// One line.
pub(super) fn text() -> &'static str {
    &TEXT
}
