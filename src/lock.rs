//! A file that one process at a time may hold, by `flock`.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Whoever was killed a moment ago may hold its lock for so long, until its last system call has returned; so may a program
/// that it was just starting.
pub(crate) const WAIT: Duration = Duration::from_secs(2);
/// The lock is tried so often meanwhile.
const TRIES: u32 = 40;

/// Locks the file; it stays locked until it is closed. `false`: somebody else holds it, and is not just ending.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(WAIT / TRIES),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
