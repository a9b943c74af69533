//! Checks of the data directory.

use std::os::unix::fs::PermissionsExt;

use super::Check;
use crate::config::Config;

/// Less free space than this many segments is a finding.
const FREE_SEGMENTS_MIN: u64 = 4;

/// Looks and checks.
pub(super) fn examine(config: &Config) -> Vec<Check> {
    const NAME: &str = "data_dir";
    let dir = config.data_dir.display();
    let Ok(metadata) = std::fs::metadata(&config.data_dir) else {
        return vec![Check::ok(NAME, format!("{dir} does not exist yet: the first run makes it"))];
    };
    let mut checks = Vec::new();
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        checks.push(Check::finding(
            NAME,
            format!("others may enter {dir} (mode {mode:o})"),
            format!("-- chmod 700 {dir}"),
        ));
    }
    let need = config.tape.segment_bytes.saturating_mul(FREE_SEGMENTS_MIN).saturating_add(config.tape.reserve_bytes);
    if let Ok(free) = rustix::fs::statvfs(&config.data_dir).map(|s| s.f_bavail.saturating_mul(s.f_frsize)) {
        checks.push(if free < need {
            Check::finding("free_space", format!("{free} bytes are free in {dir}, {need} are needed"), "-- make room")
        } else {
            Check::ok("free_space", format!("{free} bytes are free in {dir}"))
        });
    }
    checks
}
