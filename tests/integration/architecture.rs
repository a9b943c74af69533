//! The rules of the code that the compiler does not check: imports go one way, the environment is read in one place, and
//! only some modules know the five engines.

use std::path::{Path, PathBuf};

/// Modules from the bottom up: each may import those before it.
const ORDER: &[&str] = &[
    "refusal", "lock", "model", "pg", "config", "pgoutput", "tape", "source", "sinks", "verify", "ops", "api",
    "metrics", "engines", "sim", "sandbox", "run", "cli",
];

/// Imports that the order would allow, and the design does not.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("sinks", "source", "source and sinks meet at the tape alone"),
    ("tape", "pg", "the tape knows positions and bytes, not Postgres"),
    ("tape", "pgoutput", "the tape never parses what it stores"),
    ("tape", "config", "the tape takes options, not a configuration"),
    ("api", "source", "api holds read handles only"),
    ("api", "tape", "api holds read handles only"),
];

/// Modules that work for any table of any database.
const GENERAL: &[&str] =
    &["model", "pg", "pgoutput", "source", "tape", "sinks/standby", "sinks/kafka", "verify", "ops", "api", "sandbox"];

/// Names of engines that are no ordinary words.
const ENGINES: &[&str] = &["perplex", "openmatch", "aether", "meltica"];

/// A longer file has a seam.
const LINES_MAX: usize = 600;

/// A source file: its path below `src`, and its text without tests and comments.
struct Source {
    path: PathBuf,
    text: String,
    lines: usize,
}

impl Source {
    fn is_in(&self, module: &str) -> bool {
        self.path.starts_with(module) || self.path == Path::new(module).with_extension("rs")
    }

    fn module(&self) -> &str {
        let first = self.path.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// The modules it names: `crate::a::b`, and each of `crate::{a::b, c}`.
    fn imports(&self) -> impl Iterator<Item = &str> {
        self.text.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').map(first_word).collect(),
            None => vec![first_word(rest)],
        })
    }
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len())]
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "tests" || name == "tests.rs" {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else if name.ends_with(".rs") {
            let whole = std::fs::read_to_string(&path).unwrap();
            let code = whole.split("#[cfg(test)]").next().unwrap_or_default();
            let text = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), lines: code.lines().count(), text });
        }
    }
}

#[test]
fn imports_go_one_way() {
    let place = |module: &str| ORDER.iter().position(|name| *name == module);
    for source in sources() {
        let module = source.module();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let own = place(module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        for import in source.imports().filter(|import| *import != module) {
            let path = source.path.display();
            assert!(place(import).is_some_and(|other| other < own), "{path} imports {import}, which stands above it");
            let rule = FORBIDDEN.iter().find(|(from, to, _)| (*from, *to) == (module, import));
            assert!(rule.is_none(), "{path} imports {import}: {}", rule.map_or("", |(_, _, why)| why));
        }
    }
}

#[test]
fn the_environment_is_read_in_config_alone() {
    for source in sources().iter().filter(|source| source.module() != "config") {
        assert!(!source.text.contains("std::env") && !source.text.contains("env::var"), "{}", source.path.display());
    }
}

#[test]
fn only_engines_and_their_roll_ups_know_the_five_engines() {
    for source in sources().iter().filter(|source| GENERAL.iter().any(|module| source.is_in(module))) {
        let known = ENGINES.iter().find(|engine| source.text.contains(*engine));
        assert!(known.is_none(), "{} knows {}", source.path.display(), known.unwrap_or(&""));
    }
}

#[test]
fn no_file_hides_a_seam() {
    for source in sources() {
        assert!(source.lines <= LINES_MAX, "{} has {} lines", source.path.display(), source.lines);
    }
}

#[test]
fn alerts_name_metrics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let metrics = std::fs::read_to_string(root.join("src/metrics.rs")).unwrap();
    let alerts = std::fs::read_to_string(root.join("deploy/prometheus/alerts.yml")).unwrap();
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")?.split_whitespace().next());
    let names: Vec<&str> = names.collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(metrics.contains(&format!("\"{name}\"")), "no metric is called {name}");
    }
}
