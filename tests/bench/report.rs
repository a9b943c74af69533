//! The result: cases with every value measured, the medians' ratio, and whether the target was met.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Error;

/// `report.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// In the order they were measured.
    pub cases: Vec<Case>,
}

/// One comparison.
#[derive(Debug, Serialize)]
pub struct Case {
    /// Its name.
    pub case: String,
    /// `rows/s`, `records/s` (more is better), or `bytes`, `us/rec`, `ms p99` (less is better).
    pub unit: &'static str,
    /// One value a round.
    pub pgtape: Vec<f64>,
    /// Beside whom.
    pub against: Against,
    /// Median of pgtape by median of the other.
    pub ratio: f64,
    /// The ratio to reach, or not to exceed.
    pub target: f64,
    /// Whether it was.
    pub met: bool,
}

/// The other side.
#[derive(Debug, Clone, Serialize)]
pub struct Against {
    /// Its name.
    pub name: &'static str,
    /// One value a round.
    pub values: Vec<f64>,
}

impl Case {
    /// More is better: the ratio must reach `target`.
    pub fn speed(case: String, pgtape: Vec<f64>, against: Against, target: f64) -> Self {
        let ratio = median(&pgtape) / median(&against.values);
        Self { case, unit: "rows/s", pgtape, against, ratio, target, met: ratio >= target }
    }

    /// Less is better: the ratio must not exceed `target`.
    pub fn memory(case: &str, pgtape: Vec<f64>, against: Against, target: f64) -> Self {
        let ratio = median(&pgtape) / median(&against.values);
        Self { case: case.to_owned(), unit: "bytes", pgtape, against, ratio, target, met: ratio <= target }
    }
}

#[cfg(feature = "kafka")]
impl Case {
    /// The same in another unit.
    pub fn in_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }
}

impl Report {
    /// Writes `report.json` and `report.txt` into `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_string(self)?)?;
        std::fs::write(folder.join("report.txt"), self.to_string())?;
        println!("written to {}", folder.join("report.json").display());
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["case", "unit", "pgtape", "against", "", "ratio", "target", "met"];
        let [case, unit, pgtape, against, name, ratio, target, met] = head;
        writeln!(f, "{case:<22}{unit:<8}{pgtape:>12}{against:>12}  {name:<24}{ratio:>7}{target:>8}  {met}")?;
        for case in &self.cases {
            let (ours, theirs) = (median(&case.pgtape), median(&case.against.values));
            let bound = if case.unit.ends_with("/s") { ">=" } else { "<=" };
            writeln!(
                f,
                "{:<22}{:<8}{ours:>12.1}{theirs:>12.1}  {:<24}{:>7.2}{bound:>4}{:>4}  {}",
                case.case,
                case.unit,
                case.against.name,
                case.ratio,
                case.target,
                if case.met { "yes" } else { "NO" }
            )?;
        }
        Ok(())
    }
}

/// The middle value; of two the lower.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
