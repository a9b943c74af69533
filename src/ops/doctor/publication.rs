//! Checks of publication and slot: that they are there, and are what the configuration says.

use super::Check;
use super::tables::Captured;
use crate::config::Config;
use crate::ops::sink;
use crate::pg::{self, Session};
use crate::source::publication::{Publication, compare, read};
use crate::source::slot::{self, Slot};
use crate::source::tables::CatalogTable;

/// Asks and checks.
pub(super) async fn examine(
    session: &Session,
    config: &Config,
    captured: &Captured,
    version: u32,
) -> Result<Vec<Check>, pg::Error> {
    let refused = |e: crate::source::Error| pg::Error::Refused(e.into_refusal());
    let name = &config.source.publication;
    let found = read(session, version, name).await.map_err(refused)?;
    let row = session
        .query_one(
            "SELECT current_database()::text, has_database_privilege(current_database(), 'CREATE'), \
             EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('pgtape.sink_position') \
             AND attname = 'target' AND NOT attisdropped)",
            &[],
        )
        .await?;
    let (database, may_create, schema): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let slot = slot::show(session, &config.source.slot).await.map_err(refused)?;
    let mut checks = Vec::new();
    if !captured.chosen.is_empty() {
        checks.push(publication(found.as_ref(), name, captured, may_create));
    }
    checks.push(slot_check(&config.source.slot, slot.as_ref(), &database));
    if !schema && !sink::kept(config).is_empty() {
        let message = "schema pgtape is missing, or an older pgtape's: roll-ups have nowhere to keep their position";
        checks.push(Check::finding(
            "schema_pgtape",
            message,
            "-- run: pgtape migrate up, or pgtape run --sinks standby",
        ));
    }
    Ok(checks)
}

/// What `run` would change of it, or have its owner change.
fn publication(found: Option<&Publication>, name: &str, captured: &Captured, may_create: bool) -> Check {
    const NAME: &str = "publication";
    let mut wanted: Vec<&CatalogTable> = captured.chosen.iter().collect();
    // The heartbeat is ours, and may be published beside the tables.
    let published = |table: &&CatalogTable| found.is_some_and(|publication| publication.has(&table.name));
    wanted.extend(captured.catalog.iter().filter(|t| &*t.name.schema == "pgtape").filter(published));
    match (compare(found, name, &wanted).map(|change| change.statements), found) {
        (Err(refusal), _) => Check::finding(NAME, refusal.what, format!("-- {}", refusal.hint)),
        (Ok(sql), Some(_)) if sql.is_empty() => Check::ok(NAME, format!("{name} publishes what is to be captured")),
        (Ok(sql), Some(_)) => {
            let message = format!("{name} has drifted: it does not publish what is to be captured");
            Check::finding(NAME, message, sql.join("\n"))
        }
        (Ok(sql), None) if may_create => {
            Check::advice(NAME, format!("{name} does not exist yet: the first run makes it"), sql.join("\n"))
        }
        (Ok(sql), None) => {
            Check::finding(NAME, format!("{name} does not exist, and this role may not make it"), sql.join("\n"))
        }
    }
}

fn slot_check(name: &str, slot: Option<&Slot>, database: &str) -> Check {
    const NAME: &str = "slot";
    let Some(slot) = slot else {
        return Check::ok(NAME, format!("{name} does not exist yet: the first run makes it"));
    };
    if slot.database.as_deref() != Some(database) || slot.plugin.as_deref() != Some("pgoutput") {
        let whose = match (&slot.database, &slot.plugin) {
            (Some(other), Some(plugin)) => format!("belongs to {other} and sends {plugin}"),
            _ => "is physical".to_owned(),
        };
        let message = format!("{name} {whose}; needed is pgoutput of {database}");
        return Check::finding(NAME, message, "-- choose another name in source.slot");
    }
    match slot.wal_status.as_str() {
        "lost" => {
            let message = format!("{name} is lost: the server has removed WAL it needs");
            Check::finding(NAME, message, "-- run: pgtape slot reset --reason ..  (takes a new copy)")
        }
        "unreserved" => {
            let message = format!("{name} will be lost soon: it keeps more than max_slot_wal_keep_size");
            let fix = "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf(); -- and start pgtape";
            Check::finding(NAME, message, fix)
        }
        _ => {
            let active = if slot.active.is_some() { "active" } else { "not active" };
            Check::ok(NAME, format!("{name} is {active} and keeps {} bytes of WAL", slot.retained_bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::model::Lsn;

    #[test]
    fn a_slot_of_another_kind_or_a_lost_one_is_found() {
        let check = |plugin: &str, database: &str, wal_status: &str, want: Level| {
            let slot = Slot {
                name: "s".into(),
                plugin: Some(plugin.into()),
                database: Some(database.into()),
                temporary: false,
                active: None,
                confirmed: Lsn(1),
                restart: Lsn(1),
                wal_status: wal_status.into(),
                retained_bytes: 0,
            };
            assert_eq!(slot_check("s", Some(&slot), "d").level, want, "{plugin} {database} {wal_status}");
        };
        check("pgoutput", "d", "reserved", Level::Ok);
        check("pgoutput", "d", "extended", Level::Ok);
        check("pgoutput", "other", "reserved", Level::Finding);
        check("wal2json", "d", "reserved", Level::Finding);
        check("pgoutput", "d", "unreserved", Level::Finding);
        check("pgoutput", "d", "lost", Level::Finding);
        assert_eq!(slot_check("s", None, "d").level, Level::Ok);
    }
}
