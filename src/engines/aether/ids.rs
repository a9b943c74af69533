//! Ids that are functions of what they name: whoever writes it again meets the same row. The database has the same
//! functions, `aether.arb_id` and `aether.bundle_id`, for engines in other languages.

use uuid::{Uuid, uuid};

/// Of arbs. Fixed for ever: version 5 of `https://pgtape.invalid/aether/arb` among URLs.
pub const ARB_NAMESPACE: Uuid = uuid!("ebcd4a97-1763-5976-9d20-ae41e209a861");

/// Of bundles. Fixed for ever: version 5 of `https://pgtape.invalid/aether/bundle` among URLs.
pub const BUNDLE_NAMESPACE: Uuid = uuid!("e03ec5b4-1f73-5934-8756-544553a1ca92");

/// The arb of an opportunity.
#[must_use]
pub fn arb_id(opportunity_id: &str) -> Uuid {
    Uuid::new_v5(&ARB_NAMESPACE, opportunity_id.as_bytes())
}

/// The bundle that aims an arb at a block.
#[must_use]
pub fn bundle_id(arb_id: Uuid, target_block: i64) -> Uuid {
    Uuid::new_v5(&BUNDLE_NAMESPACE, format!("{arb_id}:{target_block}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_ids_are_pinned() {
        let url = |path: &str| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("https://pgtape.invalid/{path}").as_bytes());
        assert_eq!(url("aether/arb"), ARB_NAMESPACE);
        assert_eq!(url("aether/bundle"), BUNDLE_NAMESPACE);
        let arb = arb_id("x");
        assert_eq!(arb, uuid!("65fff1ab-7bff-5b21-b938-53098547e0d9"));
        assert_eq!(bundle_id(arb, 7), uuid!("8fc05e89-4d9d-5c9a-b45e-cf3f7defbbfc"));
    }
}
