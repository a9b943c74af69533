//! Free ports of the loopback that stay free while their server is down.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use rand::Rng;

use super::Error;

/// Below the ports the kernel gives to outgoing connections: nobody takes ours while its server is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports tried before giving up.
const PORT_TRIES: u32 = 20;

/// A port nobody listens on now and that was not given out by this process before. Another process may still take it
/// first: callers that bind late try again with another one.
///
/// # Errors
/// None of the ports tried could be bound.
pub fn free_port() -> Result<u16, Error> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..PORT_TRIES {
        let port = rand::rng().random_range(PORTS);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) if given.insert(port) => return Ok(port),
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(Error::io("find a free port")(last))
}
