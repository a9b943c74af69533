//! The Rust engine: finds opportunities, and sees pools.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{bytea_text, json as json_text, opportunity, target_block, time, timestamp};
use crate::engines::aether::{Arb, Pool, Writer, arb_id};
use crate::engines::{Amount, Error, Store};
use crate::model::Lsn;
use crate::sim::actor::{Actor, Effect, Image, Moment, Rows, image};
use crate::sim::dice::Dice;

const ARBS: &str = "aether.arbs";
const POOLS: &str = "aether.pool_registry";

/// Pools of one seed.
const POOLS_MAX: i64 = 40;

const PROTOCOLS: [&str; 4] = ["uniswap_v2", "uniswap_v3", "curve", "balancer"];
const TOKENS: [&str; 5] = ["WETH", "USDC", "USDT", "DAI", "WBTC"];

/// What the engine may do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An opportunity.
    Arb(Box<Arb>),
    /// A pool, for the first time or again.
    Pool(Pool),
}

/// The engine, as the only writer of arbs and pools.
pub struct Engine {
    /// The first bytes of its pools' addresses: no other seed has them.
    tag: [u8; 8],
    /// When each pool was first seen, by address, as text.
    first_seen: BTreeMap<String, String>,
}

impl Engine {
    /// The engine of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { tag: seed.to_be_bytes(), first_seen: BTreeMap::new() }
    }

    fn pool(&self, moment: Moment, dice: &mut Dice) -> Pool {
        let number = dice.between(0, POOLS_MAX - 1);
        let mut address = self.tag.to_vec();
        address.extend([0; 4]);
        address.extend(number.to_be_bytes());
        // What a pool is follows from its number; how it ranks may change.
        let pair = usize::try_from(number).expect("a small number");
        Pool {
            address,
            protocol: PROTOCOLS[pair % PROTOCOLS.len()].into(),
            token0: vec![1; 20],
            token1: vec![2; 20],
            fee_bps: if pair % 5 == 0 { None } else { Some(30) },
            tier: if dice.chance(20) { None } else { Some(dice.pick(&["a", "b", "c"]).to_string()) },
            seen_at: timestamp(moment.time_us),
            source: dice.pick(&["factory", "swap"]).to_string(),
        }
    }
}

fn arb(moment: Moment, dice: &mut Dice) -> Arb {
    let hops = dice.between(2, 4);
    let tokens: Value = (0..=hops).map(|_| *dice.pick(&TOKENS)).collect();
    let protocols: Value = (0..hops).map(|_| *dice.pick(&PROTOCOLS)).collect();
    let pools: Value = (0..hops).map(|_| format!("0x{:040x}", u64::from_be_bytes(dice.bytes()))).collect();
    // Up to about 2^126 wei: past every integer and float type, as real flash loans of worthless tokens are.
    let loan = i128::from_be_bytes(dice.bytes()).unsigned_abs() / 2;
    let gross = i128::from(dice.between(1_000_000_000, 9_000_000_000_000_000_000));
    let cost = i128::from(dice.between(1_000_000_000, 3_000_000_000_000_000_000));
    Arb {
        arb_id: arb_id(&opportunity(moment.seed, moment.number)),
        ts: timestamp(moment.time_us),
        target_block: target_block(moment.number),
        path_hash: dice.bytes::<32>().to_vec(),
        hops: i16::try_from(hops).expect("a small number"),
        path: tokens,
        protocols,
        pool_addresses: if dice.chance(3) { json!([]) } else { pools },
        flashloan_token: dice.bytes::<20>().to_vec(),
        flashloan_amount: Amount::from(loan),
        gross_profit_wei: Amount::from(gross),
        net_profit_wei: Amount::from(gross - cost),
        gas_estimate: dice.between(150_000, 900_000),
        tip_bps: i32::try_from(dice.between(0, 9_900)).expect("a small number"),
        detection_us: dice.chance(90).then(|| dice.between(50, 5_000)),
        sim_us: dice.chance(90).then(|| dice.between(50, 5_000)),
        git_sha: dice.chance(50).then(|| "5eed".into()),
    }
}

fn arb_image(a: &Arb) -> Image {
    let number = |value: i64| Some(value.to_string());
    image([
        ("arb_id", Some(a.arb_id.to_string())),
        ("ts", time(a.ts)),
        ("target_block", number(a.target_block)),
        ("path_hash", Some(bytea_text(&a.path_hash))),
        ("hops", number(a.hops.into())),
        ("path", json_text(&a.path)),
        ("protocols", json_text(&a.protocols)),
        ("pool_addresses", json_text(&a.pool_addresses)),
        ("flashloan_token", Some(bytea_text(&a.flashloan_token))),
        ("flashloan_amount", Some(a.flashloan_amount.to_string())),
        ("gross_profit_wei", Some(a.gross_profit_wei.to_string())),
        ("net_profit_wei", Some(a.net_profit_wei.to_string())),
        ("gas_estimate", number(a.gas_estimate)),
        ("tip_bps", number(a.tip_bps.into())),
        ("detection_us", a.detection_us.map(|us| us.to_string())),
        ("sim_us", a.sim_us.map(|us| us.to_string())),
        ("git_sha", a.git_sha.clone()),
    ])
}

fn pool_image(p: &Pool, first_seen: Option<String>) -> Image {
    image([
        ("address", Some(bytea_text(&p.address))),
        ("protocol", Some(p.protocol.clone())),
        ("token0", Some(bytea_text(&p.token0))),
        ("token1", Some(bytea_text(&p.token1))),
        ("fee_bps", p.fee_bps.map(|bps| bps.to_string())),
        ("tier", p.tier.clone()),
        ("first_seen", first_seen.or_else(|| time(p.seen_at))),
        ("last_seen", time(p.seen_at)),
        ("source", Some(p.source.clone())),
    ])
}

impl Actor for Engine {
    type Event = Event;

    fn name(&self) -> &'static str {
        "aether-engine"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[POOLS]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        self.first_seen.clear();
        let mine = bytea_text(&self.tag);
        for row in rows.of(POOLS) {
            let text = |column: &str| row.get(column).cloned().flatten().ok_or(format!("a pool without {column}"));
            let address = text("address")?;
            if address.starts_with(&mine) {
                self.first_seen.insert(address, text("first_seen")?);
            }
        }
        Ok(())
    }

    fn decide(&self, moment: Moment, dice: &mut Dice) -> Event {
        if dice.chance(15) { Event::Pool(self.pool(moment, dice)) } else { Event::Arb(Box::new(arb(moment, dice))) }
    }

    fn effects(&self, event: &Event) -> Vec<Effect> {
        vec![match event {
            Event::Arb(arb) => Effect::row(ARBS, &["arb_id"], arb_image(arb)),
            Event::Pool(pool) => {
                let first_seen = self.first_seen.get(&bytea_text(&pool.address)).cloned();
                Effect::row(POOLS, &["address"], pool_image(pool, first_seen))
            }
        }]
    }

    async fn perform(&mut self, store: &Store, event: &Event) -> Result<Lsn, Error> {
        let writer = Writer::new(store.clone());
        let written = match event {
            Event::Arb(arb) => writer.record_arb(arb).await,
            Event::Pool(pool) => writer.record_pool(pool).await,
        };
        Ok(written?.lsn)
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Arb(_) => {}
            Event::Pool(pool) => {
                let seen = time(pool.seen_at).expect("a time has a text");
                self.first_seen.entry(bytea_text(&pool.address)).or_insert(seen);
            }
        }
    }
}
