//! The real router on a real socket, over a standby that is filled by hand.

mod answers;
mod documented;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::{Column, Identity, Lsn, Position, Relation, TableName};
use crate::pgoutput::{Cell, Lineage, TableFacts, decode, encode_insert, encode_relation};
use crate::refusal::{Kind, Refusal};
use crate::sinks::standby::{BookSpec, Extras, IndexSpec, Publisher, StandbyReader, Store, Unobserved};
use crate::tape;

/// A standby that a test fills.
struct Filler {
    store: Store,
    publisher: Publisher,
    lsn: u64,
    tables: Vec<(u32, TableName)>,
}

impl Filler {
    fn new() -> (Self, StandbyReader) {
        let book = BookSpec {
            engine: "shop".into(),
            table: TableName::new("shop", "orders"),
            market: vec!["market".into()],
            side: "side".into(),
            bid: vec!["buy".into()],
            ask: vec!["sell".into()],
            price: "price".into(),
            quantity: "qty".into(),
            resting: None,
        };
        let index = IndexSpec { table: TableName::new("shop", "orders"), columns: vec!["market".into()] };
        let store = Store::new(Arc::new(Extras { indexes: vec![index], books: vec![book] }));
        let (publisher, reader) = Publisher::new();
        (Self { store, publisher, lsn: 0, tables: Vec::new() }, reader)
    }

    /// Describes `schema.name` with these columns; the first is the key, unless it starts with `=`: then there is none.
    fn table(&mut self, name: &str, columns: &[&str]) -> Vec<Vec<u8>> {
        let id = u32::try_from(self.tables.len()).unwrap() + 1;
        let table = TableName::parse(name).unwrap();
        self.tables.push((id, table.clone()));
        let keyless = columns[0].starts_with('=');
        let column = |(i, name): (usize, &&str)| Column {
            name: name.trim_start_matches('=').into(),
            in_identity: keyless || i == 0,
            type_oid: 25,
            type_modifier: -1,
        };
        let identity = if keyless { Identity::Full } else { Identity::Default };
        let columns: Vec<Column> = columns.iter().enumerate().map(column).collect();
        let primary_key = if keyless { vec![] } else { vec![columns[0].name.to_string()] };
        let relation = Relation { id, table, identity, columns };
        let (mut described, mut facts) = (Vec::new(), Vec::new());
        encode_relation(&relation, &mut described);
        TableFacts { relation, primary_key, indexes: vec![], lineage: Lineage::default() }.encode(&mut facts);
        vec![described, facts]
    }

    fn insert(&self, table: &str, row: &[Option<&str>]) -> Vec<u8> {
        let (id, _) = self.tables.iter().find(|(_, name)| name.to_string() == table).unwrap();
        let mut out = Vec::new();
        let cell = |cell: &Option<&'static str>| cell.map_or(Cell::Null, |text| Cell::Text(text.as_bytes()));
        let row: Vec<Option<&'static str>> = row.iter().map(|c| c.map(|c| &*c.to_owned().leak())).collect();
        encode_insert(*id, row.iter().map(cell).collect::<Vec<_>>().into_iter(), &mut out);
        out
    }

    /// One unit of these messages, published.
    fn unit(&mut self, kind: tape::Kind, messages: &[Vec<u8>]) {
        self.lsn += 0x10;
        let end_lsn = Lsn(self.lsn);
        let tables = self.tables.iter().map(|(_, name)| name.to_string()).collect();
        let head = tape::Head {
            kind,
            xid: 1,
            begin_lsn: end_lsn,
            commit_lsn: end_lsn,
            end_lsn,
            commit_time_us: 1,
            epoch: 1,
            messages: 0,
            bytes: 0,
            tables,
        };
        let unit = self.store.begin(&head, &mut Unobserved);
        for message in messages {
            self.store.apply(&decode(message).unwrap(), unit, &mut Unobserved).unwrap();
        }
        self.store.commit(&head, unit, &mut Unobserved);
        self.publisher.publish(self.store.view());
    }

    /// A small shop: orders (keyed, indexed by market, with a book) and a log without a key.
    fn shop(&mut self) {
        let mut messages = self.table("shop.orders", &["id", "market", "side", "price", "qty"]);
        messages.extend(self.table("shop.log of all", &["=line"]));
        for row in [
            ["1", "A/B", "buy", "10.0", "1"],
            ["2", "A/B", "buy", "9.50", "2"],
            ["3", "A/B", "buy", "10.0", "0.5"],
            ["4", "A/B", "sell", "11", "7"],
            ["5", "C/D", "sell", "1", "1"],
        ] {
            messages.push(self.insert("shop.orders", &row.map(Some)));
        }
        for line in [Some("same"), Some("same"), Some("\"quoted\" \\ Ü\n"), None] {
            messages.push(self.insert("shop.log of all", &[line]));
        }
        self.unit(tape::Kind::Copy, &messages);
    }
}

/// A verification that says what it was told to say.
struct Verdict(Result<Value, Refusal>);

/// There is no Kafka sink.
struct NoKafka;

impl KafkaOrders for NoKafka {
    fn order(&self, sink: &str, _: crate::sinks::kafka::orders::Order) -> crate::api::OrderFuture {
        let what = format!("'{sink}' is not a Kafka sink");
        Box::pin(async move { Err(Refusal::new(Kind::Usage, what, "no Kafka sink is configured")) })
    }
}

impl VerifyHandle for Verdict {
    fn verify(&self) -> VerifyFuture {
        let verdict = self.0.clone();
        Box::pin(async move { verdict })
    }
}

/// A running service.
struct Server {
    url: String,
    stop: CancellationToken,
    nudged: Arc<Mutex<Vec<Lsn>>>,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer.
struct Answer {
    status: u16,
    position: String,
    retry_after: bool,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
    }
}

impl Server {
    async fn start(standby: Option<StandbyReader>, status: Status, verdict: Result<Value, Refusal>) -> Self {
        let (stop, nudged) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&nudged);
        let service = Service {
            status: Arc::new(move || status.clone()),
            metrics: Arc::new(|status| format!("pgtape_ready {}\n", u8::from(status.ready))),
            standby,
            nudge: Arc::new(move |lsn| told.lock().unwrap().push(lsn)),
            verify: Arc::new(Verdict(verdict)),
            kafka: Arc::new(NoKafka),
            outboxes: None,
            stop: stop.clone(),
        };
        let limits = Limits { requests_max: 8, snapshots_max: 1, request_timeout: Duration::from_secs(30) };
        let dir = tempfile::tempdir().unwrap();
        let bound = bind("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap();
        let url = format!("http://{}", bound.address);
        tokio::spawn(bound.serve(router(service, limits), stop.clone()));
        Self { url, stop, nudged, _dir: dir }
    }

    async fn ask(&self, method: &'static str, path: &str) -> Answer {
        let url = format!("{}{path}", self.url);
        let asked = tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let response = if method == "POST" { agent.post(&url).send_empty() } else { agent.get(&url).call() };
            let mut response = response.unwrap();
            let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
            Answer {
                status: response.status().as_u16(),
                position: header("pgtape-position").unwrap_or_default(),
                retry_after: header("retry-after").is_some(),
                text: response.body_mut().read_to_string().unwrap(),
            }
        });
        asked.await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }
}

/// A status with one of everything.
pub(crate) fn status() -> Status {
    let position = Position::whole(Lsn(0x10));
    Status {
        kafka: vec![KafkaStatus {
            sink: "kafka".into(),
            committed: position,
            records: 1,
            bytes: 100,
            transactions: 1,
            last_transaction_us: Some(1),
            last_transaction_records: Some(1),
            last_transaction_ms: Some(1),
            stopped_topics: 0,
            outbox_waiting: Some(0),
            outbox_unmarked: Some(0),
        }],
        version: "0".into(),
        ready: true,
        reason: None,
        uptime_seconds: 1,
        system_id: "7".into(),
        server_version: "15".into(),
        timeline: 1,
        database: "d".into(),
        source: SourceStatus {
            state: "streaming",
            received: Lsn(0x10),
            server_end: Lsn(0x10),
            transactions: 1,
            copied_rows: 0,
            reconnects: 0,
            last_error: None,
        },
        slot: SlotStatus {
            name: "pgtape".into(),
            active: Some(true),
            confirmed: Some(Lsn(0x10)),
            restart: Some(Lsn(1)),
            wal_status: Some("reserved".into()),
            retained_bytes: Some(1),
        },
        tape: TapeStatus {
            oldest: Position::ZERO,
            newest: position,
            durable: position,
            lag_bytes: 0,
            bytes: 1,
            segments: 1,
            epoch: 1,
            state: "writing",
        },
        sinks: vec![SinkStatus {
            sink: "standby".into(),
            position,
            epoch: 1,
            generation: None,
            lag_bytes: 0,
            lag_ms: 0,
            state: "following",
            quarantined: 0,
            quarantined_total: 0,
            last_error: None,
        }],
        tables: vec![TableStatus {
            table: TableName::new("shop", "orders"),
            replica_identity: "default",
            rows: 5,
            inserts: 0,
            updates: 0,
            deletes: 0,
            truncates: 0,
            misfits: 0,
        }],
        alarms: vec![Alarm { alarm: "disconnected", message: "m".into() }],
    }
}

/// What a verification answers, with one of everything.
fn report() -> Value {
    let differences = json!([{"key": {"id": "1"}, "only_in": "both", "columns": ["qty"]}]);
    json!({
        "ok": false, "lsn": "0/10",
        "tables": [{
            "table": "shop.orders", "rows_postgres": 5, "rows_standby": 5, "equal": false, "digest_postgres": "1",
            "digest_standby": "2", "differences": differences, "note": "n",
        }],
        "rollups": [{
            "rollup": "shop.daily", "groups": 1, "equal": true, "quarantined": 0, "differences": ["d"], "note": "n",
        }],
    })
}

async fn shop() -> (Filler, Server) {
    let (mut filler, reader) = Filler::new();
    filler.shop();
    let server = Server::start(Some(reader), status(), Ok(report())).await;
    (filler, server)
}

#[tokio::test]
async fn an_occupied_address_is_refused_and_a_free_one_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let bound = bind("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap();
    bound.note().unwrap();
    let noted = std::fs::read_to_string(dir.path().join(ADDRESS_FILE)).unwrap();
    assert_eq!(noted.trim(), bound.address.to_string());
    let refusal = bind(bound.address, dir.path()).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Usage);
    assert!(refusal.to_string().contains("--listen"), "{refusal}");
    let nowhere = bind("127.0.0.1:0".parse().unwrap(), Path::new("/does/not/exist")).await.unwrap();
    assert!(nowhere.note().is_err());
}
