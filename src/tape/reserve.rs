//! A file that only takes space, so that a checkpoint can still be written on a full disk: give it back, write the
//! checkpoint, and retention can free segments.

use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Error, disk};

fn path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

/// Makes the reserve file `bytes` long, really allocated.
pub fn ensure(dir: &Path, bytes: u64) -> Result<(), Error> {
    let path = path(dir);
    if bytes == 0 {
        return release(dir);
    }
    if std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes) {
        return Ok(());
    }
    let file = disk::create(&path)?;
    let allocated = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // A file system without it: nothing is reserved, and nothing is broken.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        Err(e) => Err(Error::io("reserve space in", &path, e.into())),
    };
    if allocated.is_err() {
        // A failed fallocate may have grown the file all the same.
        release(dir)?;
    }
    allocated
}

/// Gives the reserved space back. The next [`Writer::open`](super::Writer::open) takes it again.
pub fn release(dir: &Path) -> Result<(), Error> {
    let path = path(dir);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}
