//! What every topic needs: a fresh database on the shared server. `PGTAPE_TEST_PG=local|container|URL` says where the
//! shared server comes from. Tests that stop, crash or slow down a server start their own [`PrivatePostgres`]; so do
//! tests that hold transactions open, because making a slot waits for every open transaction of the whole server.

pub mod engines;

use std::sync::{Arc, LazyLock};

use pgtape::sandbox::{Database, Options, Place, PrivatePostgres, Shared};

/// Started by the first test that asks; ends with the test process.
static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
    let place = Place::from_text(&std::env::var("PGTAPE_TEST_PG").unwrap_or_default());
    Arc::new(Shared::start(place).unwrap_or_else(|e| panic!("{e}")))
});

/// A fresh, empty database.
pub fn database() -> Database {
    SHARED.database().unwrap_or_else(|e| panic!("{e}"))
}

/// A server of the test's own, with these settings.
pub fn server(settings: &[(&str, &str)]) -> PrivatePostgres {
    PrivatePostgres::start(Options { settings, ..Options::default() }).unwrap_or_else(|e| panic!("{e}"))
}
