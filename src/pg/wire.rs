//! A session at the level of the protocol's messages, for what `tokio_postgres` does not do: walsenders, and COPY whose
//! rows are read in place.
//!
//! Invariants: memory is one read buffer, as large as the largest message at hand and given back after it; a message is
//! borrowed from that buffer, never copied; every function that reads may be cancelled without losing bytes.

use pgwire_replication::protocol::ErrorFields;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connect::startup_options;
use super::login::log_in;
use super::{Address, CONNECT_TIMEOUT, Error, Purpose, SqlState, Stream, open_stream};

/// What the read buffer holds between large messages, bytes.
pub const BUFFER_BYTES: usize = 256 << 10;
/// Longest message taken, bytes: a row is at most 1 GB.
pub const MESSAGE_BYTES_MAX: usize = (1 << 30) + (1 << 20);

/// How to open a [`Wire`].
#[derive(Debug, Clone)]
pub struct WireOptions {
    /// What it is for.
    pub purpose: Purpose,
    /// Whether the session is a walsender (it still understands SQL).
    pub replication: bool,
    /// What the kernel may take in advance, bytes; `None` leaves it to the kernel.
    pub receive_buffer_bytes: Option<u32>,
    /// Settings of this session, beside those of every session.
    pub settings: Vec<(&'static str, String)>,
}

/// A session at the level of messages. Dropping it ends the connection.
pub struct Wire {
    stream: Stream,
    input: Input,
    output: Vec<u8>,
    backend_pid: Option<i32>,
}

/// A row of an answer, as text.
pub type TextRow = Vec<Option<String>>;

impl Wire {
    /// Connects and logs in. Gives up after [`CONNECT_TIMEOUT`].
    pub async fn connect(address: &Address, options: &WireOptions) -> Result<Self, Error> {
        let open = async {
            let stream = open_stream(address, options.receive_buffer_bytes).await?;
            let mut wire = Self { stream, input: Input::new(), output: Vec::new(), backend_pid: None };
            wire.start_up(address, options).await?;
            wire.backend_pid = log_in(&mut wire, address).await?;
            Ok(wire)
        };
        match timeout(CONNECT_TIMEOUT, open).await {
            Ok(result) => result,
            Err(_) => Err(Error::Retry(format!("{address} did not answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    async fn start_up(&mut self, address: &Address, options: &WireOptions) -> Result<(), Error> {
        let mut settings = address.options().map(|own| format!("{own} ")).unwrap_or_default();
        settings.push_str(&startup_options());
        for (name, value) in &options.settings {
            settings.push_str(&format!(" -c {name}={}", value.replace('\\', "\\\\").replace(' ', "\\ ")));
        }
        let mut parameters = vec![
            ("user", address.user()),
            ("database", address.database()),
            ("application_name", options.purpose.application_name()),
            ("client_encoding", "UTF8"),
            ("options", &settings),
        ];
        if options.replication {
            parameters.push(("replication", "database"));
        }
        const PROTOCOL_3_0: i32 = 3 << 16;
        pgwire_replication::protocol::framing::write_startup_message(&mut self.stream, PROTOCOL_3_0, &parameters)
            .await
            .map_err(|e| Error::Retry(e.to_string()))
    }

    /// The server's process that serves this session.
    #[must_use]
    pub const fn backend_pid(&self) -> Option<i32> {
        self.backend_pid
    }

    /// The next message: its type and its body. Waits for it.
    pub async fn message(&mut self) -> Result<(u8, &[u8]), Error> {
        while !self.input.is_whole()? {
            self.fill().await?;
        }
        Ok(self.input.take().expect("a whole message"))
    }

    /// The next message if it has been received already, left where it is.
    pub fn peek(&self) -> Result<Option<(u8, &[u8])>, Error> {
        Ok(if self.input.is_whole()? { self.input.first() } else { None })
    }

    /// Takes the message that was peeked at, if one was.
    pub fn consume(&mut self) {
        self.input.take();
    }

    /// Reads once from the connection and says how many bytes came. Waits for the first.
    pub async fn fill(&mut self) -> Result<usize, Error> {
        let bytes = self.stream.read(self.input.room()).await?;
        if bytes == 0 {
            return Err(Error::Retry("the server closed the connection".into()));
        }
        self.input.end += bytes;
        Ok(bytes)
    }

    /// Sends a message of type `tag`.
    pub async fn send(&mut self, tag: u8, body: &[u8]) -> Result<(), Error> {
        let length = i32::try_from(body.len() + 4).expect("we send short messages");
        self.output.clear();
        self.output.push(tag);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(body);
        self.stream.write_all(&self.output).await?;
        Ok(self.stream.flush().await?)
    }

    /// Runs statements of the simple protocol and returns the rows of all of them.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<TextRow>, Error> {
        self.send(b'Q', &c_string(sql)).await?;
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            match self.message().await {
                Ok((b'D', body)) => rows.push(data_row(body)?),
                Ok((b'E', body)) => refused = Some(error_response(body)),
                Ok((b'Z', _)) => return refused.map_or(Ok(rows), Err),
                Ok(_) => {} // Row descriptions, notices, tags: nothing we need.
                Err(closed) => return Err(refused.unwrap_or(closed)),
            }
        }
    }

    /// Runs a statement that starts a copy: `H` (out) or `W` (both) is the answer awaited. What follows are its messages.
    pub async fn start_copy(&mut self, sql: &str, answer: u8) -> Result<(), Error> {
        self.send(b'Q', &c_string(sql)).await?;
        loop {
            match self.message().await? {
                (tag, _) if tag == answer => return Ok(()),
                (b'E', body) => return Err(error_response(body)),
                (b'N' | b'S', _) => {}
                (tag, _) => return Err(unexpected(tag)),
            }
        }
    }
}

/// The error of an `E` message. DETAIL is left out: it may quote row values.
pub(crate) fn error_response(body: &[u8]) -> Error {
    let fields = ErrorFields::parse(body);
    Error::Statement {
        code: SqlState::from_code(fields.code.as_deref().unwrap_or("XX000")),
        message: fields.message.unwrap_or_else(|| "the server refused without a message".into()),
    }
}

/// The server sent something else than the protocol allows here.
pub(crate) fn unexpected(tag: u8) -> Error {
    Error::Retry(format!("the server sent an unexpected message '{}'", tag.escape_ascii()))
}

pub(super) fn c_string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn data_row(body: &[u8]) -> Result<TextRow, Error> {
    let parse = || {
        let (count, mut rest) = body.split_first_chunk::<2>()?;
        let mut row = TextRow::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            row.push(match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => None,
                Ok(length) => {
                    let (text, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            });
        }
        Some(row)
    };
    parse().ok_or_else(|| unexpected(b'D'))
}

/// The read buffer: `bytes[start..end]` has been received and not been taken.
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], start: 0, end: 0 }
    }

    /// Length of the message at `start`, its type byte included, once its head is there.
    fn length(&self) -> Result<Option<usize>, Error> {
        let Some([tag, a, b, c, d]) = self.bytes[self.start..self.end].first_chunk() else { return Ok(None) };
        match usize::try_from(i32::from_be_bytes([*a, *b, *c, *d])) {
            Ok(length) if (4..=MESSAGE_BYTES_MAX).contains(&length) => Ok(Some(length + 1)),
            _ => Err(unexpected(*tag)),
        }
    }

    fn is_whole(&self) -> Result<bool, Error> {
        Ok(self.length()?.is_some_and(|length| self.end - self.start >= length))
    }

    /// The message at `start`, which is whole.
    fn first(&self) -> Option<(u8, &[u8])> {
        let message = self.bytes[self.start..self.end].get(..self.length().ok()??)?;
        Some((message[0], &message[5..]))
    }

    /// Takes the message at `start`, which is whole.
    fn take(&mut self) -> Option<(u8, &[u8])> {
        let length = self.length().ok()??;
        let message = self.bytes[self.start..self.end].get(..length)?;
        self.start += length;
        Some((message[0], &message[5..]))
    }

    /// Where the next bytes go; never empty. Grows by doubling, as bytes come: an announced length allocates nothing.
    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > BUFFER_BYTES {
                self.bytes = vec![0; BUFFER_BYTES];
            }
        }
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        &mut self.bytes[self.end..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_size_pass_in_any_pieces() {
        for piece_bytes in [1, 3, 4096, 1 << 20] {
            let sizes = [0usize, 1, 5, BUFFER_BYTES - 5, BUFFER_BYTES, 3 * BUFFER_BYTES, 2];
            let mut sent = Vec::new();
            for size in sizes {
                sent.push(b'd');
                sent.extend_from_slice(&i32::try_from(size + 4).unwrap().to_be_bytes());
                sent.extend((0..size).map(|i| u8::try_from(i % 251).unwrap()));
            }
            let mut input = Input::new();
            let mut got = Vec::new();
            for piece in sent.chunks(piece_bytes) {
                let mut piece = piece;
                while !piece.is_empty() {
                    let room = input.room();
                    let taken = room.len().min(piece.len());
                    room[..taken].copy_from_slice(&piece[..taken]);
                    input.end += taken;
                    piece = &piece[taken..];
                    while input.is_whole().unwrap() {
                        let (tag, body) = input.take().unwrap();
                        assert!(tag == b'd' && body.iter().enumerate().all(|(i, &b)| usize::from(b) == i % 251));
                        got.push(body.len());
                    }
                }
            }
            assert_eq!(got, sizes);
            input.room();
            assert_eq!(input.bytes.len(), BUFFER_BYTES, "the buffer is given back");
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_before_it_is_allocated() {
        for length in [0i32, 3, -1, i32::MAX] {
            let mut input = Input::new();
            input.room()[..5].copy_from_slice(&[&b"d"[..], &length.to_be_bytes()].concat());
            input.end = 5;
            assert!(input.is_whole().is_err(), "{length}");
        }
    }
}
