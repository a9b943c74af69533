//! Checks of publication and slot: that they are there, and are what the configuration says.

use std::collections::BTreeSet;

use super::Check;
use super::tables::Tables;
use crate::config::Config;
use crate::model::TableName;
use crate::ops::slot::{self, SlotFacts};
use crate::pg::{self, Session};

const PUBLICATION_SQL: &str = "SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot \
     FROM pg_publication WHERE pubname = $1";
const PUBLISHED_SQL: &str = "SELECT schemaname::text, tablename::text FROM pg_publication_tables WHERE pubname = $1";

/// Asks and checks.
pub(super) async fn examine(session: &Session, config: &Config, tables: &Tables) -> Result<Vec<Check>, pg::Error> {
    let mut checks = publication(session, config, tables).await?;
    let row = session.query_one("SELECT current_database()::text", &[]).await?;
    checks.push(slot_check(&slot::facts(session, &config.source.slot).await?, row.get(0)));
    let row = session.query_one("SELECT to_regclass('pgtape.sink_position') IS NOT NULL", &[]).await?;
    if !row.get::<_, bool>(0) && !config.rollups.names.is_empty() {
        let message = "schema pgtape is missing: roll-ups have nowhere to keep their position";
        let check = if config.built_in { Check::advice } else { Check::finding };
        checks.push(check("schema_pgtape", message.to_owned(), "-- run: pgtape migrate up".to_owned()));
    }
    Ok(checks)
}

async fn publication(session: &Session, config: &Config, tables: &Tables) -> Result<Vec<Check>, pg::Error> {
    const NAME: &str = "publication";
    let publication = &config.source.publication;
    let wanted: BTreeSet<&TableName> = tables.roots().map(|t| &t.name).collect();
    let quoted = pg::identifier(publication);
    let list = wanted.iter().map(|t| pg::table(t)).collect::<Vec<_>>().join(", ");
    let Some(row) = session.query_opt(PUBLICATION_SQL, &[publication]).await? else {
        let may = session.query_one("SELECT has_database_privilege(current_database(), 'CREATE')", &[]).await?;
        let fix = format!("CREATE PUBLICATION {quoted} FOR TABLE {list} WITH (publish_via_partition_root = true);");
        let check = if may.get(0) {
            Check::advice(NAME, format!("{publication} does not exist yet: the first run makes it"), fix)
        } else {
            Check::finding(NAME, format!("{publication} does not exist, and this role may not make it"), fix)
        };
        return Ok(vec![check]);
    };
    let [all_tables, insert, update, delete, truncate, via_root]: [bool; 6] = std::array::from_fn(|i| row.get(i));
    let mut checks = Vec::new();
    if !via_root {
        let fix = format!("ALTER PUBLICATION {quoted} SET (publish_via_partition_root = true);");
        checks.push(Check::finding(NAME, format!("{publication} does not publish via partition root"), fix));
    }
    if !(insert && update && delete && truncate) {
        let fix = format!("ALTER PUBLICATION {quoted} SET (publish = 'insert, update, delete, truncate');");
        let message = format!("{publication} leaves out some of insert, update, delete and truncate");
        checks.push(Check::advice(NAME, message, fix));
    }
    if all_tables {
        let fix = format!("DROP PUBLICATION {quoted}; -- then: pgtape run, or pgtape migrate up");
        checks.push(Check::finding(NAME, format!("{publication} is FOR ALL TABLES; pgtape names its tables"), fix));
    } else if !wanted.is_empty() {
        let rows = session.query(PUBLISHED_SQL, &[publication]).await?;
        let published = rows.iter().map(|r| TableName::new(r.get(0), r.get(1))).collect();
        checks.extend(drift(
            publication,
            &wanted,
            &published,
            &format!("ALTER PUBLICATION {quoted} SET TABLE {list};"),
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok(NAME, format!("{publication} publishes what the configuration names")));
    }
    Ok(checks)
}

/// What is published and not meant, or meant and not published.
fn drift(name: &str, wanted: &BTreeSet<&TableName>, published: &BTreeSet<TableName>, fix: &str) -> Option<Check> {
    // The heartbeat is ours, and may be published beside the tables.
    let ours = |t: &&TableName| &*t.schema != "pgtape";
    let missing: Vec<String> = wanted.iter().filter(|t| !published.contains(**t)).map(ToString::to_string).collect();
    let extra: Vec<String> =
        published.iter().filter(ours).filter(|t| !wanted.contains(t)).map(ToString::to_string).collect();
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    let say = |what: &str, list: &[String]| match list {
        [] => String::new(),
        list => format!(", {what} {}", list.join(" ")),
    };
    let message = format!("{name} has drifted{}{}", say("lacks", &missing), say("has besides", &extra));
    Some(Check::finding("publication", message, fix))
}

fn slot_check(slot: &SlotFacts, database: &str) -> Check {
    const NAME: &str = "slot";
    let name = &slot.slot;
    if !slot.exists {
        return Check::ok(NAME, format!("{name} does not exist yet: the first run makes it"));
    }
    if slot.database.as_deref() != Some(database) {
        let other = slot.database.as_deref().unwrap_or("no database (it is physical)");
        let message = format!("{name} belongs to {other}, not to {database}");
        return Check::finding(NAME, message, "-- choose another name in source.slot");
    }
    match slot.wal_status.as_deref() {
        Some("lost") => {
            let message = format!("{name} is lost: the server has removed WAL it needs");
            Check::finding(NAME, message, "-- run: pgtape slot reset --reason ..  (takes a new copy)")
        }
        Some("unreserved") => {
            let message = format!("{name} will be lost soon: it keeps more than max_slot_wal_keep_size");
            let fix = "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf(); -- and start pgtape";
            Check::finding(NAME, message, fix)
        }
        _ => {
            let active = if slot.active == Some(true) { "active" } else { "not active" };
            let bytes = slot.retained_bytes.unwrap_or_default();
            Check::ok(NAME, format!("{name} is {active} and keeps {bytes} bytes of WAL"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_named_in_both_directions() {
        let [a, b, heartbeat] = [("s", "a"), ("s", "b"), ("pgtape", "heartbeat")].map(|(s, t)| TableName::new(s, t));
        let check = |wanted: &[&TableName], published: &[&TableName], want: Option<&str>| {
            let published = published.iter().map(|t| (*t).clone()).collect();
            let found = drift("p", &wanted.iter().copied().collect(), &published, "");
            assert_eq!(found.map(|c| c.message).as_deref(), want);
        };
        check(&[&a, &b], &[&a, &b, &heartbeat], None);
        check(&[&a, &b], &[&a], Some("p has drifted, lacks s.b"));
        check(&[&a], &[&b], Some("p has drifted, lacks s.a, has besides s.b"));
    }
}
