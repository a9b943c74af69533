//! Golden values and records, and what must hold for any value.

mod debezium;
mod envelopes;
mod keys;
mod properties;
mod schemas;
mod times;
mod values;

use crate::sinks::kafka::json::{Compat, Decimals, Encoder, Intervals, Json, Modes, Times, Types};

/// All modes at their defaults.
const DEFAULT: Modes = Modes {
    decimals: Decimals::Text,
    times: Times::Adaptive,
    intervals: Intervals::Microseconds,
    compat: Compat::Honest,
};
const PRECISE: Modes = Modes { decimals: Decimals::Precise, ..DEFAULT };
const DOUBLE: Modes = Modes { decimals: Decimals::Double, ..DEFAULT };
const MICROSECONDS: Modes = Modes { times: Times::Microseconds, ..DEFAULT };
const ISO: Modes = Modes { times: Times::IsoString, intervals: Intervals::IsoString, ..DEFAULT };

/// No type modifier.
const NONE: i32 = -1;

/// `want` is JSON, or the reason why there is none.
fn check(modes: Modes, type_oid: u32, type_modifier: i32, text: &str, want: &str) {
    let mut out = b"kept".to_vec();
    let encoder = Encoder::choose(type_oid, type_modifier, &modes, &Types::default());
    let got = match encoder.put::<Json>(text.as_bytes(), &mut out) {
        Ok(()) => {
            let json = std::str::from_utf8(&out[4..]).unwrap();
            serde_json::from_str::<serde_json::Value>(json).unwrap_or_else(|e| panic!("{json}: {e}"));
            json
        }
        Err(reason) => reason,
    };
    assert_eq!(got, want, "type {type_oid}, modifier {type_modifier}, {text}");
    assert_eq!(&out[..4], b"kept");
}
