//! The directory of checkpoints: which are there, which must stay, which the tape must be kept for.
//!
//! Kept: the two newest, and the newest that no roll-up is behind. From that one a restart can replay what the roll-up has
//! not seen, so the tape after the oldest kept checkpoint must be kept too (it is *pinned*).

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::rollup::Point;
use super::standby::View;
use crate::model::Lsn;

/// Where the checkpoints of a data directory are.
#[must_use]
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("standby")
}

/// A checkpoint on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Epoch and LSN of its view.
    pub point: Point,
    /// The file.
    pub path: PathBuf,
}

/// The newest so many are kept in any case.
const KEPT: usize = 2;

/// The checkpoints in `dir`, newest first.
pub fn list(dir: &Path) -> io::Result<Vec<Checkpoint>> {
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for file in files {
        let path = file?.path();
        if let Some(point) = path.file_name().and_then(|name| point_of(name.to_str()?)) {
            found.push(Checkpoint { point, path });
        }
    }
    found.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.point.1));
    Ok(found)
}

/// The file of a checkpoint at `point`: `EEEEEEEE-LLLLLLLLLLLLLLLL.checkpoint`, epoch and LSN in hexadecimal.
#[must_use]
pub fn path_of(dir: &Path, point: Point) -> PathBuf {
    dir.join(format!("{:08X}-{:016X}.checkpoint", point.0, point.1.0))
}

fn point_of(name: &str) -> Option<Point> {
    let (epoch, lsn) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    let fits = epoch.len() == 8 && lsn.len() == 16;
    let point = (u32::from_str_radix(epoch, 16).ok()?, Lsn(u64::from_str_radix(lsn, 16).ok()?));
    fits.then_some(point)
}

/// Makes the directory, its owner's alone.
pub fn make(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a checkpoint of `view`.
pub fn write(dir: &Path, view: &View, system_id: u64) -> io::Result<Checkpoint> {
    make(dir)?;
    let point = (view.epoch, view.position.lsn);
    let path = path_of(dir, point);
    super::standby::checkpoint::write(&path, view, system_id)?;
    Ok(Checkpoint { point, path })
}

/// Removes what need not stay: `lowest` is the position that the roll-up furthest behind has *committed* (`None`: there
/// are no roll-ups). Removes nothing while somebody reads the directory under [`hold`].
pub fn prune(dir: &Path, lowest: Option<Lsn>) -> io::Result<()> {
    let lock = lock_file(dir)?;
    if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    let all = list(dir)?;
    let needed = lowest.and_then(|lowest| all.iter().position(|c| c.point.1 <= lowest));
    for (i, checkpoint) in all.iter().enumerate() {
        // Nothing at or below the lowest position: the older one may be all that a rewind has.
        let unneeded = lowest.is_none() || needed.is_some();
        if i >= KEPT && unneeded && Some(i) != needed {
            std::fs::remove_file(&checkpoint.path)?;
        }
    }
    File::open(dir)?.sync_all()
}

/// Keeps [`prune`] away until dropped.
pub fn hold(dir: &Path) -> io::Result<File> {
    let lock = lock_file(dir)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockShared)?;
    Ok(lock)
}

fn lock_file(dir: &Path) -> io::Result<File> {
    make(dir)?;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock"))
}

/// The tape must be kept after here: the position of the oldest checkpoint. `None`: there is none, keep everything.
pub fn pinned(dir: &Path) -> io::Result<Option<Lsn>> {
    Ok(list(dir)?.last().map(|checkpoint| checkpoint.point.1))
}

/// Removes what a crash left of a checkpoint being written.
pub fn sweep(dir: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_no_roll_up_is_behind_stays() {
        let check = |lowest: Option<u64>, want: &[u64]| {
            let dir = tempfile::tempdir().unwrap();
            for lsn in [10, 20, 30, 40] {
                std::fs::write(path_of(dir.path(), (1, Lsn(lsn))), b"").unwrap();
            }
            prune(dir.path(), lowest.map(Lsn)).unwrap();
            let left: Vec<u64> = list(dir.path()).unwrap().iter().map(|c| c.point.1.0).collect();
            assert_eq!(left, want, "lowest {lowest:?}");
            assert_eq!(pinned(dir.path()).unwrap(), Some(Lsn(*want.last().unwrap())));
        };
        check(None, &[40, 30]);
        check(Some(45), &[40, 30]);
        check(Some(25), &[40, 30, 20]);
        check(Some(10), &[40, 30, 10]);
        check(Some(5), &[40, 30, 20, 10]);
    }

    #[test]
    fn a_holder_keeps_them_all() {
        let dir = tempfile::tempdir().unwrap();
        for lsn in [1, 2, 3] {
            std::fs::write(path_of(dir.path(), (1, Lsn(lsn))), b"").unwrap();
        }
        let held = hold(dir.path()).unwrap();
        prune(dir.path(), None).unwrap();
        assert_eq!(list(dir.path()).unwrap().len(), 3);
        drop(held);
        prune(dir.path(), None).unwrap();
        assert_eq!(list(dir.path()).unwrap().len(), 2);
    }
}
