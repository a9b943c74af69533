//! `pgtape doctor`: every check, each finding with the SQL that mends it.

use super::Context;
use crate::ops::doctor;
use crate::refusal::{Kind, Refusal};

pub(super) async fn run(context: &Context) -> Result<(), Refusal> {
    let report = doctor::examine(&context.config).await?;
    context.out.result(&report, || report.to_string());
    match report.findings() {
        0 => Ok(()),
        n => Err(Refusal::new(Kind::Finding, format!("doctor has {n} finding{}", if n == 1 { "" } else { "s" }), "")),
    }
}
