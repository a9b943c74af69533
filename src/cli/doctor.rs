//! `pgtape doctor`: every check, each finding with the SQL that mends it.

use super::{Context, version};
use crate::ops::doctor;
use crate::refusal::{Kind, Refusal};
use crate::run;

pub(super) async fn run(context: &Context) -> Result<(), Refusal> {
    let kafka = run::kafka_probe(&context.config, version::text()).await?;
    let report = doctor::examine(&context.config, kafka).await?;
    context.out.result(&report, || report.to_string());
    match report.findings() {
        0 => Ok(()),
        n => Err(Refusal::new(Kind::Finding, format!("doctor has {n} finding{}", if n == 1 { "" } else { "s" }), "")),
    }
}
