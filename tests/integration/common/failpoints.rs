//! The failpoints that are placed in the source.

use std::collections::BTreeSet;
use std::path::Path;

/// Every failpoint whose name `of` wants, by the macros that place them.
pub fn failpoints(of: fn(&str) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.retain(|point| of(point));
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            for place in ["fail_point!(\"", "fail_here!(\""] {
                let names = text.split(place).skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
}
