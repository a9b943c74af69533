//! A file system of a limited size, to be filled and freed at will. Needs root.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;

use super::Error;

/// The file that takes the space of others.
const BALLAST: &str = "ballast";
/// Written at a time.
const BLOCK_BYTES: usize = 64 << 10;

/// A mounted file system; taken away on drop.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `at`, which is made; `None` when this user may not.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn mount(at: &Path, bytes: u64) -> Result<Option<Self>, Error> {
        std::fs::create_dir(at).map_err(Error::io("make a folder"))?;
        let size = format!("size={bytes},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).output();
        Ok(mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at.to_owned())))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes `bytes` of it, less when there is less.
    ///
    /// # Errors
    /// Something else is wrong with it than that it is full.
    pub fn take(&self, bytes: usize) -> Result<(), Error> {
        let opened = OpenOptions::new().create(true).append(true).open(self.ballast());
        fill(opened.map_err(Error::io("open the ballast"))?, bytes)
    }

    /// Gives back all that was taken.
    ///
    /// # Errors
    /// Nothing was.
    pub fn give_back(&self) -> Result<(), Error> {
        std::fs::remove_file(self.ballast()).map_err(Error::io("remove the ballast"))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join(BALLAST)
    }
}

fn fill(mut file: File, bytes: usize) -> Result<(), Error> {
    let block = [1; BLOCK_BYTES];
    let mut left = bytes;
    while left > 0 {
        match file.write(&block[..left.min(BLOCK_BYTES)]) {
            Ok(written) => left -= written,
            Err(full) if full.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) => return Ok(()),
            Err(other) => return Err(Error::io("write the ballast")(other)),
        }
    }
    Ok(())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
