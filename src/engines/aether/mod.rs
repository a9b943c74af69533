//! aether's writers: a Rust engine records arbs and pools, an executor (in production, in Go) bundles and what became of
//! them. They race: nothing orders them across processes, and a bundle often lands before its arb.
//!
//! Invariant: `included` means found on chain; only [`Writer::record_inclusion`] sets it. Every event may be repeated.

mod ids;
mod metrics;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::event::event;
use super::{Amount, Error, Event, Store, Written};

pub use ids::{ARB_NAMESPACE, BUNDLE_NAMESPACE, arb_id, bundle_id};
pub use metrics::Metrics;

const ARB: Event = event!("aether", "arb");
const BUNDLE: Event = event!("aether", "bundle");
const INCLUSION: Event = event!("aether", "inclusion");
const POOL: Event = event!("aether", "pool");

/// Every event.
pub const EVENTS: [Event; 4] = [ARB, BUNDLE, INCLUSION, POOL];

/// An opportunity that the engine found. Amounts in wei.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arb {
    /// [`arb_id`] of the opportunity.
    pub arb_id: Uuid,
    /// When it was found.
    pub ts: Timestamp,
    /// The block it aims at.
    pub target_block: i64,
    /// Hash of the path.
    pub path_hash: Vec<u8>,
    /// Swaps in the path.
    pub hops: i16,
    /// Tokens, in order: a JSON array.
    pub path: Value,
    /// Protocols, in order: a JSON array.
    pub protocols: Value,
    /// Pools, in order: a JSON array.
    pub pool_addresses: Value,
    /// The token borrowed.
    pub flashloan_token: Vec<u8>,
    /// How much of it.
    pub flashloan_amount: Amount,
    /// Before gas and tip.
    pub gross_profit_wei: Amount,
    /// After gas and tip; may be negative.
    pub net_profit_wei: Amount,
    /// Gas the simulation used.
    pub gas_estimate: i64,
    /// Part of the profit that goes to the builder, in 1/10000.
    pub tip_bps: i32,
    /// Microseconds from block to detection.
    pub detection_us: Option<i64>,
    /// Microseconds of simulation.
    pub sim_us: Option<i64>,
    /// The engine's version.
    pub git_sha: Option<String>,
}

/// A bundle as submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Of the arb, which may not be recorded yet.
    pub arb_id: Uuid,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// The block it aims at.
    pub target_block: i64,
    /// The signed transaction.
    pub signed_tx_hex: String,
    /// Gas, where known.
    pub gas_used: Option<i64>,
    /// Price of gas, where known.
    pub gas_price_wei: Option<Amount>,
    /// Built, and sent to nobody.
    pub is_shadow: bool,
    /// Builders it was meant for. `None` is JSON null, an empty list an empty array: both come back as they were.
    pub builders: Option<Vec<String>>,
    /// Builders that answered the submission, each once.
    pub answers: Vec<Answer>,
}

impl Bundle {
    /// Its id, a function of arb and block.
    #[must_use]
    pub fn bundle_id(&self) -> Uuid {
        bundle_id(self.arb_id, self.target_block)
    }
}

/// A builder's answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who answered.
    pub builder: String,
    /// Its error, if it said one.
    pub error: Option<String>,
}

/// What the poll loop found on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The bundle.
    pub bundle_id: Uuid,
    /// Through which builder.
    pub builder: String,
    /// Whether it landed.
    pub included: bool,
    /// In which block.
    pub included_block: Option<i64>,
    /// As which transaction.
    pub landed_tx_hash: Option<Vec<u8>>,
    /// Why not.
    pub error: Option<String>,
    /// When the loop looked.
    pub resolved_at: Timestamp,
}

/// A liquidity pool that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its contract.
    pub address: Vec<u8>,
    /// Its protocol.
    pub protocol: String,
    /// One token.
    pub token0: Vec<u8>,
    /// The other.
    pub token1: Vec<u8>,
    /// Its fee, in 1/10000.
    pub fee_bps: Option<i32>,
    /// How it is ranked.
    pub tier: Option<String>,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// By what.
    pub source: String,
}

/// The writer of aether. Each call returns when Postgres has committed.
#[derive(Clone)]
pub struct Writer {
    store: Store,
}

impl Writer {
    /// Writes through `store`; make that with [`Store::observed`] and [`Metrics`] to feed the dashboards.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The engine found an opportunity.
    pub async fn record_arb(&self, a: &Arb) -> Result<Written, Error> {
        let params: super::Params<'_> = &[
            &a.arb_id,
            &a.ts,
            &a.target_block,
            &a.path_hash,
            &a.hops,
            &a.path,
            &a.protocols,
            &a.pool_addresses,
            &a.flashloan_token,
            &a.flashloan_amount,
            &a.gross_profit_wei,
            &a.net_profit_wei,
            &a.gas_estimate,
            &a.tip_bps,
            &a.detection_us,
            &a.sim_us,
            &a.git_sha,
        ];
        Ok(self.store.write(&ARB, params).await?.into())
    }

    /// The executor submitted a bundle, and builders answered: one transaction. Says so in the log once it is committed.
    pub async fn submit_bundle(&self, b: &Bundle) -> Result<Written, Error> {
        let bundle_id = b.bundle_id();
        let meant_for = b.builders.as_ref().map_or(Value::Null, |names| Value::from(names.clone()));
        let builders: Vec<&str> = b.answers.iter().map(|answer| answer.builder.as_str()).collect();
        let errors: Vec<Option<&str>> = b.answers.iter().map(|answer| answer.error.as_deref()).collect();
        let params: super::Params<'_> = &[
            &bundle_id,
            &b.arb_id,
            &b.submitted_at,
            &b.target_block,
            &b.signed_tx_hex,
            &b.gas_used,
            &b.gas_price_wei,
            &b.is_shadow,
            &meant_for,
            &builders,
            &errors,
        ];
        let committed = self.store.write(&BUNDLE, params).await?;
        tracing::info!(
            arb_id = %b.arb_id,
            bundle_id = %bundle_id,
            target_block = b.target_block,
            shadow = b.is_shadow,
            answers = b.answers.len(),
            resubmission = !committed.applied,
            "bundle submitted"
        );
        Ok(committed.into())
    }

    /// The poll loop looked for a bundle on chain.
    pub async fn record_inclusion(&self, i: &Inclusion) -> Result<Written, Error> {
        let params: super::Params<'_> =
            &[&i.bundle_id, &i.builder, &i.included, &i.included_block, &i.landed_tx_hash, &i.error, &i.resolved_at];
        Ok(self.store.write(&INCLUSION, params).await?.into())
    }

    /// A liquidity pool was seen.
    pub async fn record_pool(&self, p: &Pool) -> Result<Written, Error> {
        let params: super::Params<'_> =
            &[&p.address, &p.protocol, &p.token0, &p.token1, &p.fee_bps, &p.tier, &p.seen_at, &p.source];
        Ok(self.store.write(&POOL, params).await?.into())
    }
}
