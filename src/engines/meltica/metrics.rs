//! The families that meltica's dashboards read: its pool's connections and its migrations.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::engines::pool::{Pool, Stat};

/// `meltica_db_pool_connections_{total,idle,acquired,constructing}{environment,db_pool}`, read from the pool when asked.
pub struct PoolConnections {
    pool: Pool,
    total: IntGauge,
    idle: IntGauge,
    acquired: IntGauge,
    constructing: IntGauge,
}

impl PoolConnections {
    /// The connections of `pool`, which dashboards know as `name`.
    pub fn new(pool: Pool, environment: &str, name: &str) -> prometheus::Result<Self> {
        let labels =
            HashMap::from([("environment".into(), environment.to_owned()), ("db_pool".into(), name.to_owned())]);
        let gauge = |what: &str, help: &str| {
            let opts = Opts::new(format!("meltica_db_pool_connections_{what}"), help).const_labels(labels.clone());
            IntGauge::with_opts(opts)
        };
        Ok(Self {
            pool,
            total: gauge("total", "Connections: idle, acquired and constructing together")?,
            idle: gauge("idle", "Open connections that wait for work")?,
            acquired: gauge("acquired", "Connections at work")?,
            constructing: gauge("constructing", "Connections being opened")?,
        })
    }

    fn gauges(&self) -> [&IntGauge; 4] {
        [&self.total, &self.idle, &self.acquired, &self.constructing]
    }
}

impl Collector for PoolConnections {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Stat { total, idle, acquired, constructing } = self.pool.stat();
        for (gauge, value) in self.gauges().into_iter().zip([total, idle, acquired, constructing]) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}

/// `meltica_db_migrations_total{result}`: migration runs by how they ended.
#[derive(Clone)]
pub struct Migrations {
    runs: IntCounterVec,
}

impl Migrations {
    /// Both results are there from the start, at 0.
    pub fn new() -> prometheus::Result<Self> {
        let runs =
            IntCounterVec::new(Opts::new("meltica_db_migrations_total", "Migration runs by result"), &["result"])?;
        for result in ["applied", "failed"] {
            runs.with_label_values(&[result]);
        }
        Ok(Self { runs })
    }

    /// Counts a run.
    pub fn ran(&self, succeeded: bool) {
        self.runs.with_label_values(&[if succeeded { "applied" } else { "failed" }]).inc();
    }
}

impl Collector for Migrations {
    fn desc(&self) -> Vec<&Desc> {
        self.runs.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.runs.collect()
    }
}
