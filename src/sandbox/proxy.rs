//! A TCP proxy between a client and a server of ours, to cut, stall and refuse connections at will.
//!
//! Two threads a connection. Knows bytes, not Postgres.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Error;

/// Bytes carried at a time.
const CHUNK_BYTES: usize = 16 << 10;
/// [`Link::until_cut_bytes`] when no cut is planned.
const NEVER: u64 = u64::MAX;

/// A running proxy; ends, with its connections, on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: Arc<Link>,
}

/// What the threads share.
#[derive(Debug)]
struct Link {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes the servers may still send before everything is cut.
    until_cut_bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Both ends of every connection; closed ones stay until the next cut.
    open: Vec<TcpStream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Bytes flow.
    Flow,
    /// Connections stay open, nothing flows: a frozen peer.
    Stall,
    /// New connections are closed at once.
    Refuse,
    /// The proxy is gone.
    End,
}

impl Proxy {
    /// Listens on a free port of the loopback and carries to `target_port` of the loopback.
    ///
    /// # Errors
    /// No port can be bound.
    pub fn start(target_port: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("bind the proxy"))?;
        let address = listener.local_addr().map_err(Error::io("bind the proxy"))?;
        let link = Arc::new(Link {
            target: SocketAddr::from(([127, 0, 0, 1], target_port)),
            state: Mutex::new(State { mode: Mode::Flow, open: Vec::new() }),
            changed: Condvar::new(),
            until_cut_bytes: AtomicU64::new(NEVER),
        });
        let accepting = Arc::clone(&link);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { address, link })
    }

    /// The port to connect to on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The same address of Postgres, through this proxy.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let old = format!("127.0.0.1:{}/", self.link.target.port());
        url.replace(&old, &format!("127.0.0.1:{}/", self.port()))
    }

    /// Closes every connection; new ones are carried.
    pub fn cut(&self) {
        self.link.set(Mode::Flow, true);
    }

    /// Closes every connection after the servers have sent this many more bytes; new ones are carried.
    pub fn cut_after(&self, bytes: u64) {
        self.link.until_cut_bytes.store(bytes, Ordering::SeqCst);
    }

    /// Whether the cut planned by [`Self::cut_after`] has happened.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.link.until_cut_bytes.load(Ordering::SeqCst) == NEVER
    }

    /// Nothing flows any more, no connection is closed.
    pub fn stall(&self) {
        self.link.set(Mode::Stall, false);
    }

    /// Closes every connection, and new ones at once.
    pub fn refuse(&self) {
        self.link.set(Mode::Refuse, true);
    }

    /// Bytes flow again, new connections are carried.
    pub fn resume(&self) {
        self.link.set(Mode::Flow, false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.set(Mode::End, true);
        let _ = TcpStream::connect(self.address); // Wakes the accepting thread.
    }
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mode: Mode, cut: bool) {
        let mut state = self.lock();
        state.mode = mode;
        if cut {
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            match self.lock().mode {
                Mode::End => return,
                Mode::Refuse => continue,
                Mode::Flow | Mode::Stall => {}
            }
            let Ok(server) = TcpStream::connect(self.target) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            if let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) {
                if let (Ok(client3), Ok(server3)) = (client.try_clone(), server.try_clone()) {
                    self.lock().open.extend([client3, server3]);
                }
                let (up, down) = (Arc::clone(self), Arc::clone(self));
                thread::spawn(move || up.carry(client, server2, false));
                thread::spawn(move || down.carry(server, client2, true));
            }
        }
    }

    /// Carries one direction until either end closes.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, counted: bool) {
        let mut chunk = [0; CHUNK_BYTES];
        while let Ok(read) = from.read(&mut chunk) {
            if read == 0 || !self.wait_for_flow() {
                break;
            }
            let allowed = if counted { self.take(read) } else { read };
            if to.write_all(&chunk[..allowed]).is_err() {
                break;
            }
            if allowed < read {
                self.set(Mode::Flow, true);
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// Waits out a stall; false when the proxy is gone.
    fn wait_for_flow(&self) -> bool {
        let state = self.changed.wait_while(self.lock(), |state| state.mode == Mode::Stall);
        state.unwrap_or_else(PoisonError::into_inner).mode != Mode::End
    }

    /// How many of `read` bytes may pass before the planned cut; a reached cut is forgotten.
    fn take(&self, read: usize) -> usize {
        let read_bytes = read.try_into().unwrap_or(NEVER);
        let mut left = self.until_cut_bytes.load(Ordering::SeqCst);
        loop {
            if left == NEVER {
                return read;
            }
            let (next, allowed) = if left > read_bytes {
                (left - read_bytes, read)
            } else {
                (NEVER, usize::try_from(left).unwrap_or(read))
            };
            match self.until_cut_bytes.compare_exchange(left, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) if next == NEVER => return allowed.min(read.saturating_sub(1)),
                Ok(_) => return allowed,
                Err(current) => left = current,
            }
        }
    }
}
