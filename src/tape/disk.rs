//! Files and directories as the tape uses them: names, syncs, atomic replacement, the lock.
//!
//! Invariant: a name appears in the directory only after its content has been fsynced, and counts only after the
//! directory has.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use super::Error;
use crate::lock;
use crate::refusal::{Kind, Refusal};

/// Ending of segment files; before it stands the number, 12 digits.
const SEGMENT_ENDING: &str = ".tape";
/// Ending of files that are not finished.
const TEMPORARY_ENDING: &str = ".tmp";

/// Lets a test make an I/O step fail (`return(full)`, `return(eio)`), stop or end the program there.
macro_rules! fail_here {
    ($name:literal, $path:expr) => {
        fail::fail_point!($name, |what| Err(crate::tape::disk::simulated($name, $path, what.as_deref())))
    };
}
pub(crate) use fail_here;

/// The error of a failpoint.
#[cfg(feature = "failpoints")]
pub(crate) fn simulated(name: &'static str, path: &Path, what: Option<&str>) -> Error {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let number = if what == Some("full") { ENOSPC } else { EIO };
    Error::io(name, path, io::Error::from_raw_os_error(number))
}

/// The file of segment `number`.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}{SEGMENT_ENDING}"))
}

/// The temporary name under which `path` is made.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_ENDING);
    name.into()
}

/// Makes `dir`, for its owner only, if it is not there.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| Error::io("make directory", dir, e))
}

/// The names in `dir`.
fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let read = || -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    read().map_err(|e| Error::io("list directory", dir, e))
}

/// The segments in `dir`, oldest first. Refuses holes, and names that say a number in another way.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for name in names(dir)? {
        let Some(stem) = name.strip_suffix(SEGMENT_ENDING) else { continue };
        match stem.parse::<u64>() {
            Ok(number) if segment_path(Path::new(""), number).as_os_str() == name.as_str() => numbers.push(number),
            Ok(_) | Err(_) => return Err(refuse_files(dir, &format!("'{name}' is no name of a segment"))),
        }
    }
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        Some(pair) => Err(refuse_files(dir, &format!("segments between {} and {} are missing", pair[0], pair[1]))),
        None => Ok(numbers),
    }
}

fn refuse_files(dir: &Path, what: &str) -> Error {
    let hint = "restore the directory as it was, or move it away and start a new tape";
    Error::Refused(Refusal::new(Kind::Tape, format!("the tape in {}: {what}", dir.display()), hint))
}

/// Removes what was not finished when the last writer ended.
pub(crate) fn remove_temporaries(dir: &Path) -> Result<(), Error> {
    for name in names(dir)?.iter().filter(|name| name.ends_with(TEMPORARY_ENDING)) {
        let path = dir.join(name);
        std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok(())
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::io("sync directory", dir, e))
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Opens a file for this process alone to fill.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(|e| Error::io("create", path, e))
}

/// Puts `bytes` under the name `path`: temporary name, fsync, rename, directory fsync.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let unfinished = temporary(path);
    let mut file = create(&unfinished)?;
    file.write_all(bytes).map_err(|e| Error::io("write", &unfinished, e))?;
    file.sync_all().map_err(|e| Error::io("sync", &unfinished, e))?;
    fail_here!("tape::replace-before-rename", path);
    std::fs::rename(&unfinished, path).map_err(|e| Error::io("rename to", path, e))?;
    fail_here!("tape::replace-before-dir-sync", path);
    sync_dir(parent(path))
}

/// Opens a file of an earlier process to be read and continued. It is fsynced and its cached pages are dropped first:
/// after an I/O error buffered reads can show bytes that the device never had.
pub(crate) fn open_distrusting(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| Error::io("open", path, e))?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))?;
    fadvise(&file, 0, None, Advice::DontNeed).map_err(|e| Error::io("drop the cache of", path, e.into()))?;
    Ok(file)
}

/// The right to write the tape in a directory; given back when dropped, or by the kernel when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Refuses while another process writes the tape in `dir`. Waits as `Lock::take` does. Holds nothing: whoever opens the tape takes the lock.
pub fn refuse_if_locked(dir: &Path) -> Result<(), Error> {
    if dir.join("lock").exists() { Lock::take(dir).map(drop) } else { Ok(()) }
}

impl Lock {
    /// Takes the lock of `dir`, or refuses when another holds it for longer than one that is just ending would.
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|e| Error::io("open", &path, e))?;
        if lock::take(&file).map_err(|e| Error::io("lock", &path, e))? {
            return Ok(Self { _file: file });
        }
        let what = format!("another process writes the tape in {}", dir.display());
        Err(Error::Refused(Refusal::new(Kind::Locked, what, "stop it, or choose another --data-dir")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_strange_names_are_refused() {
        let check = |names: &[&str], want: Result<Vec<u64>, &str>| {
            let dir = tempfile::tempdir().unwrap();
            names.iter().for_each(|name| std::fs::write(dir.path().join(name), b"").unwrap());
            match (segments(dir.path()), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want),
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
                (found, want) => panic!("{found:?} for {want:?}"),
            }
        };
        check(&[], Ok(vec![]));
        check(&["000000000002.tape", "lock", "000000000001.tape", "durable"], Ok(vec![1, 2]));
        check(&["000000000001.tape", "000000000003.tape"], Err("between 1 and 3"));
        check(&["000000000001.tape", "1.tape"], Err("'1.tape'"));
        check(&["x.tape"], Err("'x.tape'"));
    }

    #[test]
    fn a_lock_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        let Err(Error::Refused(refusal)) = Lock::take(dir.path()) else { panic!("taken twice") };
        assert_eq!(refusal.kind, Kind::Locked);
        assert!(refuse_if_locked(dir.path()).is_err());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(lock::WAIT / 4);
                drop(lock);
            });
            refuse_if_locked(dir.path()).expect("one that is just ending is waited for");
        });
        Lock::take(dir.path()).unwrap();
    }
}
