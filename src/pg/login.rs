//! The log-in of a [`Wire`]: SCRAM-SHA-256, MD5, clear text.

use pgwire_replication::auth::scram::ScramClient;
use pgwire_replication::protocol::messages::{auth, parse_auth_request};

use super::connect::login_error;
use super::wire::{Wire, c_string, error_response, unexpected};
use super::{Address, Error};
use crate::refusal::{Kind, Refusal};

/// Answers the server's questions until it is ready for statements. Returns the process that serves the session.
pub(super) async fn log_in(wire: &mut Wire, address: &Address) -> Result<Option<i32>, Error> {
    let mut backend_pid = None;
    loop {
        let (tag, body) = wire.message().await?;
        match tag {
            b'R' => {
                let (method, data) = parse_auth_request(body).map_err(|_| unexpected(b'R'))?;
                let data = data.to_vec();
                answer(wire, address, method, &data).await?;
            }
            b'E' => return Err(login_error(address, error_response(body))),
            b'K' => backend_pid = body.first_chunk().map(|pid| i32::from_be_bytes(*pid)),
            b'Z' => return Ok(backend_pid),
            _ => {} // Parameters, notices.
        }
    }
}

async fn answer(wire: &mut Wire, address: &Address, method: i32, data: &[u8]) -> Result<(), Error> {
    match method {
        auth::OK => Ok(()),
        auth::CLEARTEXT_PASSWORD => wire.send(b'p', &c_string(password(address)?)).await,
        auth::MD5_PASSWORD => wire.send(b'p', &c_string(&md5_answer(password(address)?, address.user(), data))).await,
        auth::SASL => scram(wire, address, data).await,
        other => Err(refuse(address, &format!("method {other} is asked for, which is not implemented"))),
    }
}

/// `md5(md5(password user) salt)`, in hex, as the protocol's chapter on message flow says.
fn md5_answer(password: &str, user: &str, salt: &[u8]) -> String {
    let inner = format!("{:x}", md5::compute(format!("{password}{user}")));
    format!("md5{:x}", md5::compute([inner.as_bytes(), salt].concat()))
}

async fn scram(wire: &mut Wire, address: &Address, mechanisms: &[u8]) -> Result<(), Error> {
    const MECHANISM: &str = "SCRAM-SHA-256";
    if !mechanisms.split(|&b| b == 0).any(|name| name == MECHANISM.as_bytes()) {
        return Err(refuse(address, "none of the SASL mechanisms offered is SCRAM-SHA-256"));
    }
    let password = password(address)?;
    let client = ScramClient::new(address.user());
    let mut first = c_string(MECHANISM);
    let length = i32::try_from(client.client_first.len()).expect("a short message");
    first.extend_from_slice(&length.to_be_bytes());
    first.extend_from_slice(client.client_first.as_bytes());
    wire.send(b'p', &first).await?;
    let server_first = sasl_data(wire, address, auth::SASL_CONTINUE).await?;
    let bad = |e: pgwire_replication::PgWireError| refuse(address, &e.to_string());
    let (last, message, salted) = client.client_final(password, &server_first).map_err(bad)?;
    wire.send(b'p', last.as_bytes()).await?;
    let server_last = sasl_data(wire, address, auth::SASL_FINAL).await?;
    ScramClient::verify_server_final(&server_last, &salted, &message).map_err(bad)
}

async fn sasl_data(wire: &mut Wire, address: &Address, want: i32) -> Result<String, Error> {
    match wire.message().await? {
        (b'R', body) => match parse_auth_request(body) {
            Ok((method, data)) if method == want => Ok(String::from_utf8_lossy(data).into_owned()),
            _ => Err(unexpected(b'R')),
        },
        (b'E', body) => Err(login_error(address, error_response(body))),
        (tag, _) => Err(unexpected(tag)),
    }
}

fn password(address: &Address) -> Result<&str, Error> {
    address
        .password()
        .and_then(|password| std::str::from_utf8(password).ok())
        .ok_or_else(|| refuse(address, "the server asks for a password and the address has none"))
}

fn refuse(address: &Address, why: &str) -> Error {
    let hint = "check user and password of the address, and pg_hba.conf";
    Refusal::new(Kind::Unreachable, format!("log in to {address}: {why}"), hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_md5_answer_is_that_of_libpq() {
        // Python: 'md5' + md5(md5(b'md5_passmd5_user').hexdigest().encode() + bytes([1, 2, 3, 4])).hexdigest()
        assert_eq!(md5_answer("md5_pass", "md5_user", &[1, 2, 3, 4]), "md5c6ee6bd10a7adf513019b25f24df0925");
    }
}
