//! Columns that downstream must not see: left out, or hashed with a secret.
//!
//! The mask stands before every format: relation and tuples are rewritten, so that no format can let a value through.
//!
//! Invariant: equal values of a column have equal hashes as long as the secret stays; without the secret a hash tells nothing.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::settings::Secret;
use crate::model::Relation;
use crate::pgoutput::{Cell, Tuple, TupleBuffer};

/// OID of `text`: what a hash is.
const TEXT: u32 = 25;

/// What is done to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// It is left out.
    Drop,
    /// It is replaced by the HMAC-SHA256 of its text, in hexadecimal.
    Hash,
}

/// The masks of one relation.
#[derive(Clone)]
pub(super) struct Masked {
    /// What is done to each column.
    plan: Vec<Option<Mask>>,
    mac: Hmac<Sha256>,
}

impl Masked {
    /// `None`: no column of the relation is masked.
    pub(super) fn new(relation: &Relation, masks: &[(String, Mask)], secret: &Secret) -> Option<Self> {
        let of = |name: &str| masks.iter().find(|(column, _)| column == name).map(|(_, mask)| *mask);
        let plan: Vec<Option<Mask>> = relation.columns.iter().map(|column| of(&column.name)).collect();
        let mac = Hmac::new_from_slice(&secret.0).expect("HMAC takes a key of any length");
        plan.iter().any(Option::is_some).then_some(Self { plan, mac })
    }

    /// The relation as downstream sees it.
    pub(super) fn relation(&self, relation: &Relation) -> Relation {
        let column = |(column, mask): (&crate::model::Column, &Option<Mask>)| match mask {
            Some(Mask::Drop) => None,
            Some(Mask::Hash) => Some(crate::model::Column { type_oid: TEXT, type_modifier: -1, ..column.clone() }),
            None => Some(column.clone()),
        };
        let columns = relation.columns.iter().zip(&self.plan).filter_map(column).collect();
        Relation { columns, ..relation.clone() }
    }

    /// The row as downstream sees it, in `buffer`.
    pub(super) fn tuple<'b>(&self, tuple: Tuple<'_>, buffer: &'b mut TupleBuffer) -> Tuple<'b> {
        buffer.clear();
        for (cell, mask) in tuple.cells().zip(&self.plan) {
            match (mask, cell) {
                (Some(Mask::Drop), _) => {}
                (Some(Mask::Hash), Cell::Text(text)) => buffer.push(Cell::Text(&self.hash(text))),
                (Some(Mask::Hash) | None, cell) => buffer.push(cell),
            }
        }
        buffer.tuple()
    }

    fn hash(&self, text: &[u8]) -> Vec<u8> {
        let mut mac = self.mac.clone();
        mac.update(text);
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let hex = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]];
        mac.finalize().into_bytes().iter().flat_map(|byte| hex(*byte)).collect()
    }
}
