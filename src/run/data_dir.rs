//! The directory of everything that must survive. Rows are in it: its owner alone may read it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::refusal::{Kind, Refusal};

/// Owner only.
const MODE: u32 = 0o700;

/// Makes the directory if it is not there, and takes it from everybody else.
pub(super) fn make(path: &Path) -> Result<(), Refusal> {
    let refuse = |e: io::Error| {
        let kind = if e.kind() == io::ErrorKind::StorageFull { Kind::Disk } else { Kind::Usage };
        let what = format!("the data directory {} cannot be used: {e}", path.display());
        Refusal::new(kind, what, "name another with --data-dir, or mend its permissions")
    };
    DirBuilder::new().recursive(true).mode(MODE).create(path).map_err(refuse)?;
    let found = fs::metadata(path).map_err(refuse)?;
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(refuse)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_look_into_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        for _ in 0..2 {
            make(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(parent.path().join("file"), "").unwrap();
        assert_eq!(make(&parent.path().join("file")).unwrap_err().kind, Kind::Usage);
    }
}
