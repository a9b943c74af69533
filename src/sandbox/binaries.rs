//! Where the programs of Postgres are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::refusal::{Kind, Refusal};

/// Folders that hold one folder a version, as Debian and Red Hat lay them out: (folder, prefix of its children).
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// The folder with `postgres`, `initdb`, `psql` and the rest.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The newest server of this machine: the distribution's folders first, then what `pg_config` says.
    ///
    /// # Errors
    /// A refusal that names the one package to install.
    pub fn find() -> Result<Self, Refusal> {
        let mut found: Vec<(u32, PathBuf)> =
            VERSIONED.iter().flat_map(|(root, prefix)| versions(root, prefix)).collect();
        found.sort();
        let newest = found.pop().map(|(_, folder)| folder);
        let folder = newest.or_else(from_pg_config).ok_or_else(|| {
            Refusal::new(
                Kind::Server,
                "this machine has no Postgres server programs",
                "install them with: sudo apt-get install postgresql",
            )
        })?;
        Ok(Self { folder })
    }

    /// The programs in a folder of the caller's choice.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The path of one program.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

fn is_server(folder: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| folder.join(program).is_file())
}

/// The servers below `root`, with their major versions.
fn versions(root: &str, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let version = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix(prefix)?.parse().ok()?;
        let folder = path.join("bin");
        is_server(&folder).then_some((name, folder))
    };
    entries.filter_map(|entry| version(entry.ok()?.path())).collect()
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    is_server(&folder).then_some(folder)
}
