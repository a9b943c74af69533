//! Asking the running service over HTTP. Blocking; the service is on this machine, nearly always.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use percent_encoding::{CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::config::Config;
use crate::refusal::{Kind, Refusal};

/// To reach a service on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An answer of the service.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
}

/// Where the running service is: where flag or environment say, else as it noted in the data directory, else as the file
/// says.
pub(super) fn base_url(config: &Config) -> String {
    let configured = config.http.listen;
    // Port 0 is any port: only the note knows which it became.
    let listen = match config.listen_named && configured.port() != 0 {
        true => configured,
        false => noted(config).unwrap_or(configured),
    };
    format!("http://{}", reachable(listen))
}

fn noted(config: &Config) -> Option<SocketAddr> {
    std::fs::read_to_string(config.data_dir.join(crate::api::ADDRESS_FILE)).ok()?.trim().parse().ok()
}

/// "Any address" is listened on, not connected to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// GET `path`, answered within `timeout`.
pub(super) fn get(config: &Config, path: &str, timeout: Duration) -> Result<Answer, Refusal> {
    let url = format!("{}{path}", base_url(config));
    answer(&url, &config.data_dir, agent(timeout).get(&url).call())
}

/// POST `path` with an empty body, answered within `timeout`.
pub(super) fn post(config: &Config, path: &str, timeout: Duration) -> Result<Answer, Refusal> {
    let url = format!("{}{path}", base_url(config));
    answer(&url, &config.data_dir, agent(timeout).post(&url).send_empty())
}

/// POST `path` with the reason for what it changes, answered within `timeout`.
pub(super) fn post_with_reason(
    config: &Config,
    path: &str,
    reason: &str,
    timeout: Duration,
) -> Result<Answer, Refusal> {
    let url = format!("{}{path}", base_url(config));
    let reason = utf8_percent_encode(reason, CONTROLS).to_string();
    let request = agent(timeout).post(&url).header("Pgtape-Reason", reason);
    answer(&url, &config.data_dir, request.send_empty())
}

fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

fn answer(
    url: &str,
    data_dir: &Path,
    result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, Refusal> {
    let unreachable = |e: ureq::Error| {
        let hint = format!("is the service running on {}? start it with pgtape run", data_dir.display());
        Refusal::new(Kind::Unreachable, format!("no answer from {url}: {e}"), hint)
    };
    let mut response = result.map_err(unreachable)?;
    let status = response.status().as_u16();
    let body = response.body_mut().read_json().map_err(unreachable)?;
    Ok(Answer { status, body })
}

/// The refusal that an error answer carries.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    let text = |key: &str| answer.body["error"][key].as_str().unwrap_or_default().to_owned();
    let kind = match text("code").as_str() {
        "finding" => Kind::Finding,
        "usage" => Kind::Usage,
        "server" => Kind::Server,
        "slot" => Kind::Slot,
        "tape" => Kind::Tape,
        "disk" => Kind::Disk,
        "locked" => Kind::Locked,
        _ => Kind::Unreachable,
    };
    let what = match text("message") {
        empty if empty.is_empty() => format!("the service answered {}", answer.status),
        message => message,
    };
    Refusal::new(kind, what, text("hint"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};

    #[test]
    fn a_named_address_is_asked_rather_than_the_noted_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(crate::api::ADDRESS_FILE), "0.0.0.0:7001\n").unwrap();
        let check = |listen: &[&str], want: &str| {
            let listen = listen.iter().map(|l| (*l).to_owned()).collect();
            let flags = Overrides { data_dir: Some(dir.path().to_owned()), listen, ..Overrides::default() };
            assert_eq!(base_url(&Config::load(&flags, &Environment::default()).unwrap()), want);
        };
        check(&["127.0.0.1:7002"], "http://127.0.0.1:7002");
        check(&["127.0.0.1:0"], "http://127.0.0.1:7001");
        check(&[], "http://127.0.0.1:7001");
        std::fs::remove_file(dir.path().join(crate::api::ADDRESS_FILE)).unwrap();
        check(&[], "http://127.0.0.1:7654");
    }
}
