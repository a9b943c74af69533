//! The migrations, embedded. The order of this list is the order of application; a unit comes after those it needs.
//!
//! Invariant: a file that was released never changes; what has to change is a new file. (A test holds this list against
//! the files in `sql/`.)

/// One step up, and its way back.
#[derive(Debug)]
pub struct Migration {
    /// What `--only` names: an engine's schema, `ledger` or `pgtape`.
    pub unit: &'static str,
    /// Counts from 1 within the unit.
    pub version: i32,
    /// The rest of the file name.
    pub name: &'static str,
    /// What `up` runs.
    pub up: &'static str,
    /// What `down` runs.
    pub down: &'static str,
    /// Where the files are, below `sql/`.
    pub path: &'static str,
}

impl Migration {
    /// Whether the migration makes roles: it may be left out where that is not permitted, and applied later.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.name == "roles"
    }

    /// Recorded when it is applied, to notice a file that changed afterwards.
    #[must_use]
    pub fn checksum(&self) -> String {
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(self.up.as_bytes()))
    }
}

macro_rules! migration {
    ($unit:literal, $path:literal, $version:literal, $name:literal) => {
        Migration {
            unit: $unit,
            version: $version,
            name: $name,
            up: include_str!(concat!("../../../sql/", $path, "/000", $version, "_", $name, ".up.sql")),
            down: include_str!(concat!("../../../sql/", $path, "/000", $version, "_", $name, ".down.sql")),
            path: concat!($path, "/000", $version, "_", $name),
        }
    };
}

/// Where migrations are recorded; run before the first.
pub const BOOTSTRAP: &str = include_str!("../../../sql/pgtape/migration.sql");

/// Units that every other unit needs.
pub const FOUNDATION: [&str; 2] = ["pgtape", "ledger"];

/// Every migration, in order.
pub const MIGRATIONS: &[Migration] = &[
    migration!("pgtape", "pgtape", 1, "tables"),
    migration!("pgtape", "pgtape", 2, "helpers"),
    migration!("pgtape", "pgtape", 3, "partitions"),
    migration!("pgtape", "pgtape", 4, "roles"),
    migration!("pgtape", "pgtape", 5, "sink_target"),
    migration!("ledger", "ledger", 1, "applied"),
    migration!("ledger", "ledger", 2, "uuid_v5"),
    migration!("ledger", "ledger", 3, "pnl_daily"),
    migration!("perplex", "engines/perplex", 1, "tables"),
    migration!("perplex", "engines/perplex", 2, "roles"),
    migration!("openmatch", "engines/openmatch", 1, "tables"),
    migration!("openmatch", "engines/openmatch", 2, "roles"),
    migration!("aether", "engines/aether", 1, "tables"),
    migration!("aether", "engines/aether", 2, "roles"),
    migration!("meltica", "engines/meltica", 1, "tables"),
    migration!("meltica", "engines/meltica", 2, "roles"),
    migration!("meltica", "engines/meltica", 3, "outbox_dead"),
    migration!("meltica", "engines/meltica", 4, "roles"),
    migration!("worker", "engines/worker", 1, "tables"),
    migration!("worker", "engines/worker", 2, "roles"),
];

/// What `--only` may name, in order.
pub fn units() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.chunk_by(|a, b| a.unit == b.unit).map(|unit| unit[0].unit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_numbered_file_is_listed_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        let mut files = BTreeSet::new();
        let folders: BTreeSet<&str> =
            MIGRATIONS.iter().map(|m| m.path.rsplit_once('/').expect("a folder and a file").0).collect();
        for folder in folders {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.starts_with(|c: char| c.is_ascii_digit()) {
                    assert!(files.insert(format!("{folder}/{name}")));
                }
            }
        }
        let listed: BTreeSet<String> =
            MIGRATIONS.iter().flat_map(|m| ["up", "down"].map(|way| format!("{}.{way}.sql", m.path))).collect();
        assert_eq!(files, listed);
        assert_eq!(listed.len(), MIGRATIONS.len() * 2, "a migration is listed twice");
    }

    #[test]
    fn versions_count_from_one_and_the_foundation_comes_first() {
        for unit in MIGRATIONS.chunk_by(|a, b| a.unit == b.unit) {
            let versions: Vec<i32> = unit.iter().map(|m| m.version).collect();
            assert_eq!(versions, (1..).take(unit.len()).collect::<Vec<i32>>(), "{}", unit[0].unit);
        }
        assert_eq!(units().take(2).collect::<Vec<_>>(), FOUNDATION);
        assert_eq!(units().collect::<BTreeSet<_>>().len(), units().count(), "a unit is split");
    }
}
