//! Reading rows back from the standby's `/v1/snapshot`, as a restarting engine does.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::actor::{Image, Rows};
use super::run::Error;
use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};

/// The service is asked to wait this long for the position.
const WAIT_MS: u64 = 10_000;

/// A request, rows and all, takes no longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// A service that does not come up in so many attempts is reported.
const ATTEMPTS_MAX: u32 = 300;

/// A line of the snapshot: head, row or end.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Row {
        table: String,
        row: Image,
    },
    End {
        end: bool,
        rows: u64,
    },
    Head {
        #[serde(rename = "position")]
        _position: String,
    },
}

/// The rows of `tables` at one commit at or past `min_lsn`. Tries again while the service is down or behind; `None` when
/// cancelled.
pub(super) async fn fetch(
    url: &str,
    tables: &[&str],
    min_lsn: Lsn,
    cancel: &CancellationToken,
) -> Result<Option<Rows>, Error> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let (url, tables) = (format!("{}/v1/snapshot", url.trim_end_matches('/')), tables.join(","));
        let request = tokio::task::spawn_blocking(move || request(&url, &tables, min_lsn));
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            answer = request => match answer.expect("the request does not panic") {
                Ok(rows) => return Ok(Some(rows)),
                Err(why) => last = why,
            },
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            () = sleep(PAUSE) => {}
        }
    }
    let what = format!("the standby at {url} gave no snapshot: {last}");
    Err(Refusal::new(Kind::Unreachable, what, "check that `pgtape run` is up and its standby sink is on").into())
}

fn request(url: &str, tables: &str, min_lsn: Lsn) -> Result<Rows, String> {
    let response = ureq::get(url)
        .query("tables", tables)
        .query("min_lsn", min_lsn.to_string())
        .query("wait_ms", WAIT_MS.to_string())
        .config()
        .timeout_global(Some(REQUEST_TIMEOUT))
        .build()
        .call()
        .map_err(|e| e.to_string())?;
    read_rows(BufReader::new(response.into_body().into_reader()))
}

/// Calls `each` for every row of a snapshot; an error when it is not whole.
pub(super) fn for_each_row(reader: impl BufRead, mut each: impl FnMut(String, Image)) -> Result<(), String> {
    let (mut rows, mut head_seen) = (0, false);
    for line in reader.lines() {
        let line = line.map_err(|e| format!("the snapshot broke off: {e}"))?;
        match serde_json::from_str(&line) {
            Ok(Line::Row { table, row }) if head_seen => {
                rows += 1;
                each(table, row);
            }
            Ok(Line::End { end: true, rows: said }) if said == rows => return Ok(()),
            Ok(Line::End { rows: said, .. }) => {
                return Err(format!("the snapshot says {said} rows and brought {rows}"));
            }
            Ok(Line::Head { .. }) if !head_seen => head_seen = true,
            Ok(Line::Row { .. } | Line::Head { .. }) => return Err("the snapshot's lines are out of order".into()),
            Err(error) => return Err(format!("a line of the snapshot cannot be read: {error}")),
        }
    }
    Err("the snapshot broke off before its end line".into())
}

fn read_rows(reader: impl BufRead) -> Result<Rows, String> {
    let mut rows = Rows::default();
    for_each_row(reader, |table, row| rows.0.entry(table).or_default().push(row))?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_counts_only_when_it_is_whole() {
        let check = |text: &str, want: Result<usize, &str>| {
            let got = read_rows(text.as_bytes()).map(|rows| rows.of("a.b").count());
            match (&got, want) {
                (Ok(got), Ok(want)) => assert_eq!(*got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{got:?} for {text}"),
            }
        };
        let head = r#"{"position":"0000000000000001.FFFFFFFFFF","epoch":1,"tables":["a.b"]}"#;
        let row = r#"{"table":"a.b","row":{"id":"1","note":null}}"#;
        check(&format!("{head}\n{row}\n{{\"end\":true,\"rows\":1}}\n"), Ok(1));
        check(&format!("{head}\n{row}\n{{\"end\":true,\"rows\":2}}\n"), Err("says 2"));
        check(&format!("{head}\n{row}\n"), Err("before its end"));
        check(&format!("{row}\n{{\"end\":true,\"rows\":1}}\n"), Err("out of order"));
        check(&format!("{head}\n{{\"tab"), Err("cannot be read"));
    }
}
