//! Asking the running service over HTTP. Blocking; the service is on this machine, nearly always.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

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

/// Where the running service is: as it noted in the data directory, else as configured.
pub(super) fn base_url(config: &Config) -> String {
    let noted = std::fs::read_to_string(config.data_dir.join(crate::api::ADDRESS_FILE));
    let listen = noted.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(config.http.listen);
    format!("http://{}", reachable(listen))
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
