//! Confluent's schema registry: schemas in, numbers out. Any that speaks its HTTP interface (Apicurio's `/apis/ccompat/v7`,
//! Redpanda, Karapace).
//!
//! ```text
//!  POST /subjects/<topic>-key/versions      {"schema":".."}  ──▶  {"id":7}
//!  POST /subjects/<topic>-value/versions    {"schema":".."}  ──▶  {"id":8}
//! ```
//!
//! Registering again gives the same number. Subjects are named after topics (Confluent's TopicNameStrategy, the default
//! of its serializers). Calls block, each for the timeout at most, and are not repeated here: the error says what to do.
//!
//! Invariants: the password is in no error, log or `Debug`; redirects are not followed, so it goes to nobody else; a schema
//! that was registered once is not sent again. Knows neither topics nor the tape.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::avro::{Ids, Schemas};
use crate::refusal::{Kind, Refusal};

/// What the registry's words may take of an error.
const SAID_BYTES_MAX: usize = 500;
/// The most an answer may weigh.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Where the registry is, and how to talk to it.
#[derive(Clone)]
pub struct Settings {
    /// `http://..` or `https://..`, with a path if it needs one, without user and password.
    pub url: String,
    /// User and password, for basic authentication.
    pub login: Option<(String, String)>,
    /// The certificates (PEM) that its own must be signed by; `None`: those that browsers trust.
    pub ca: Option<Vec<u8>>,
    /// How long a call may take.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("Settings").field("url", &self.url).field("user", &user).finish_non_exhaustive()
    }
}

/// Why a schema has no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nobody answered, or not now: try again, with everything.
    #[error("the schema registry at {url} cannot be reached: {said}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network or the registry said.
        said: String,
    },
    /// It does not take this schema beside those that the subject has: this topic must stop, others go on.
    #[error(
        "the schema registry refuses the new schema of {subject} ({said}): change the table back, relax the subject's \
         compatibility, or send the table to another topic"
    )]
    Incompatible {
        /// Of which subject.
        subject: String,
        /// What the registry said.
        said: String,
    },
    /// It refuses us: a person must act before anything can go on.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A client of one registry.
pub struct Registry {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
    /// The last schema of each subject, and its number.
    known: HashMap<String, (String, u32)>,
}

impl fmt::Debug for Registry {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("url", &self.url).field("subjects", &self.known.len()).finish_non_exhaustive()
    }
}

impl Registry {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, Refusal> {
        let tls = TlsConfig::builder().root_certs(roots(settings.ca.as_deref())?).build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(settings.timeout))
            .tls_config(tls);
        let basic =
            |(user, password): &(String, String)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        Ok(Self {
            agent: config.build().into(),
            url: checked_url(&settings.url)?,
            authorization: settings.login.as_ref().map(basic),
            known: HashMap::new(),
        })
    }

    /// Registers the schemas of a topic's records. To be called before the first record that needs them.
    pub fn register_topic(&mut self, topic: &str, schemas: &Schemas) -> Result<Ids, RegistryError> {
        let value = self.register(&format!("{topic}-value"), &schemas.value)?;
        let key = match &schemas.key {
            Some(key) => self.register(&format!("{topic}-key"), key)?,
            None => value, // Nobody looks at it.
        };
        Ok(Ids { key, value })
    }

    /// Registers a schema under a subject and returns its number; asks nobody if it was the subject's last one.
    pub fn register(&mut self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        if let Some((known, id)) = self.known.get(subject)
            && known == schema
        {
            return Ok(*id);
        }
        let subject_path = utf8_percent_encode(subject, NON_ALPHANUMERIC);
        let request = self.agent.post(format!("{}/subjects/{subject_path}/versions", self.url));
        let request = request.content_type(CONTENT_TYPE);
        let body = serde_json::json!({ "schema": schema }).to_string();
        let (status, answer) = self.answer(self.with_login(request).send(body))?;
        let id = self.id_of(subject, status, &answer)?;
        self.known.insert(subject.to_owned(), (schema.to_owned(), id));
        Ok(id)
    }

    /// Asks for the subjects: whether the registry is there and lets us in.
    pub fn check(&self) -> Result<(), RegistryError> {
        let (status, answer) = self.answer(self.with_login(self.agent.get(format!("{}/subjects", self.url))).call())?;
        match status {
            200 => Ok(()),
            status => Err(self.refusal(status, &answer)),
        }
    }

    fn with_login<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    /// Status and body.
    fn answer(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, String), RegistryError> {
        let failed = |error: ureq::Error| match error {
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => RegistryError::Refused(self.no_trust(&error)),
            // So a failed handshake comes out of the stream that it happened in.
            ureq::Error::Io(io) if io.kind() == ErrorKind::InvalidData && self.url.starts_with("https") => {
                RegistryError::Refused(self.no_trust(&ureq::Error::Io(io)))
            }
            error => RegistryError::Unreachable { url: self.url.clone(), said: error.to_string() },
        };
        let mut answer = result.map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
        Ok((status, body.map_err(failed)?))
    }

    fn id_of(&self, subject: &str, status: u16, answer: &str) -> Result<u32, RegistryError> {
        #[derive(Deserialize)]
        struct Registered {
            id: u32,
        }
        match status {
            200 | 201 => match serde_json::from_str::<Registered>(answer) {
                Ok(registered) => Ok(registered.id),
                Err(_) => Err(RegistryError::Refused(self.no_registry(status))),
            },
            409 | 422 => Err(RegistryError::Incompatible { subject: subject.to_owned(), said: said(status, answer) }),
            status => Err(self.refusal(status, answer)),
        }
    }

    /// What an answer means that is no good one.
    fn refusal(&self, status: u16, answer: &str) -> RegistryError {
        let url = &self.url;
        match status {
            401 | 403 => RegistryError::Refused(Refusal::new(
                Kind::Server,
                format!("the schema registry at {url} does not let us in: {}", said(status, answer)),
                "check user and password, and whether the user may write the subjects of the topics",
            )),
            408 | 429 | 500.. => RegistryError::Unreachable { url: url.clone(), said: said(status, answer) },
            status => RegistryError::Refused(self.no_registry(status)),
        }
    }

    fn no_registry(&self, status: u16) -> Refusal {
        let what = format!("what answers at {} with status {status} is no schema registry", self.url);
        Refusal::new(Kind::Server, what, "check the URL and its path: Apicurio's ends with /apis/ccompat/v7")
    }

    fn no_trust(&self, error: &ureq::Error) -> Refusal {
        let what = format!("no TLS with the schema registry at {}: {error}", self.url);
        Refusal::new(
            Kind::Server,
            what,
            "name the CA file that its certificate is signed by, and the host it is made for",
        )
    }
}

/// The message in an answer, and its code.
fn said(status: u16, answer: &str) -> String {
    #[derive(Deserialize)]
    struct Said {
        error_code: u32,
        message: String,
    }
    match serde_json::from_str::<Said>(answer) {
        Ok(Said { error_code, mut message }) => {
            let end = (0..=SAID_BYTES_MAX.min(message.len())).rfind(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            format!("{error_code} {message}")
        }
        Err(_) => format!("status {status}"),
    }
}

fn checked_url(url: &str) -> Result<String, Refusal> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if host.is_empty() || host.contains('@') {
        // Without the URL: it may hold a password.
        let what = "the schema registry's URL does not begin with http:// or https:// and a host, or holds a user";
        return Err(Refusal::new(Kind::Usage, what, "give user and password apart, the password in a file"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn roots(ca: Option<&[u8]>) -> Result<RootCerts, Refusal> {
    let Some(pem) = ca else { return Ok(RootCerts::WebPki) };
    let certificates: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if certificates.is_empty() {
        let hint = "give the file with the certificate of its authority, -----BEGIN CERTIFICATE----- and so on";
        return Err(Refusal::new(Kind::Usage, "the schema registry's CA file holds no certificate", hint));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const SECRET: &str = "swordfish";

    fn registry(url: &str) -> Registry {
        let login = Some(("cdc".to_owned(), SECRET.to_owned()));
        Registry::new(&Settings { url: url.to_owned(), login, ca: None, timeout: Duration::from_secs(20) }).unwrap()
    }

    /// Answers once with `status` and `body`; returns what was asked.
    fn answered(status: &str, body: &str) -> (Result<u32, RegistryError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut asked, mut part) = (String::new(), [0; 4096]);
            while !asked.ends_with('}') {
                let read = stream.read(&mut part).unwrap();
                asked += std::str::from_utf8(&part[..read]).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let got = registry(&url).register("shop.public.t-value", r#"{"type":"int"}"#);
        (got, asked.join().unwrap())
    }

    #[test]
    fn a_schema_is_registered_under_its_subject_with_a_login() {
        let (got, asked) = answered("200 OK", r#"{"id":7}"#);
        assert_eq!(got, Ok(7));
        assert!(asked.starts_with("POST /base/subjects/shop%2Epublic%2Et%2Dvalue/versions HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_lowercase().contains("authorization: basic y2rjonn3b3jkzmlzaa==\r\n"), "{asked}");
        assert!(asked.ends_with(r#"{"schema":"{\"type\":\"int\"}"}"#), "{asked}");
    }

    #[test]
    fn every_answer_is_a_decision() {
        let check = |status: &str, body: &str, want: &str| {
            let (got, _) = answered(status, body);
            let error = got.unwrap_err();
            let kind = match &error {
                RegistryError::Unreachable { .. } => "unreachable",
                RegistryError::Incompatible { .. } => "incompatible",
                RegistryError::Refused(_) => "refused",
            };
            assert_eq!(kind, want, "{status} {error}");
            assert!(!format!("{error} {error:?}").contains(SECRET));
        };
        check("409 Conflict", r#"{"error_code":409,"message":"incompatible with an earlier schema"}"#, "incompatible");
        check("422 Unprocessable Entity", r#"{"error_code":42201,"message":"invalid"}"#, "incompatible");
        check("401 Unauthorized", "", "refused");
        check("403 Forbidden", r#"{"error_code":40301,"message":"not this subject"}"#, "refused");
        check("404 Not Found", "<html>", "refused");
        check("302 Found", "", "refused");
        check("200 OK", "<html>", "refused");
        check("200 OK", r#"{"id":-1}"#, "refused");
        check("429 Too Many Requests", "", "unreachable");
        check("500 Internal Server Error", r#"{"error_code":50001,"message":"store"}"#, "unreachable");
        check("503 Service Unavailable", "", "unreachable");
    }

    #[test]
    fn nobody_there_is_a_reason_to_try_again() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let got = registry(&format!("http://{free}")).register("s", "{}");
        assert!(matches!(&got, Err(RegistryError::Unreachable { .. })), "{got:?}");
    }

    #[test]
    fn urls_have_a_scheme_a_host_and_no_password() {
        let check = |url: &str, want: Option<&str>| {
            let got = checked_url(url);
            assert_eq!(got.as_deref().ok(), want, "{url}");
            assert!(want.is_some() || !got.unwrap_err().to_string().contains(SECRET));
        };
        check("http://r:8081", Some("http://r:8081"));
        check("https://r/apis/ccompat/v7/", Some("https://r/apis/ccompat/v7"));
        check("r:8081", None);
        check("http://", None);
        check("https://cdc:swordfish@r", None);
        let shown = format!(
            "{:?} {:?}",
            registry("http://r"),
            Settings {
                url: "http://r".into(),
                login: Some(("cdc".into(), SECRET.into())),
                ca: None,
                timeout: Duration::ZERO,
            }
        );
        assert!(shown.contains("cdc") && !shown.contains(SECRET), "{shown}");
    }
}
