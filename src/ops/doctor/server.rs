//! Checks of the server as a whole: version, settings, room for slots and senders, the role, the clock.

use super::Check;
use crate::pg::{self, Purpose, Session};
use crate::source::server::waits_for_us;

/// The oldest server with everything pgtape needs, and the newest it is tested with.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;
/// Slots and senders to have free: the stream, and one for verify or the refresh of a table.
const FREE_MIN: i64 = 2;
/// More than this between two clocks makes lag in seconds meaningless.
const CLOCK_SKEW_MAX_MS: i64 = 2_000;

/// What one question brings.
pub(super) struct Facts {
    pub version_num: u32,
    version: String,
    wal_level: String,
    slots_max: i64,
    slots: i64,
    slot_exists: bool,
    senders_max: i64,
    senders: i64,
    keep_size_mb: i64,
    standby_names: String,
    idle_timeout: Option<String>,
    in_recovery: bool,
    may_replicate: bool,
    /// Our role.
    pub role: String,
}

const FACTS_SQL: &str = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
     current_setting('wal_level'), \
     current_setting('max_replication_slots')::int8, (SELECT count(*) FROM pg_replication_slots WHERE NOT temporary), \
     EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND plugin = 'pgoutput' AND active), \
     current_setting('max_wal_senders')::int8, (SELECT count(*) FROM pg_stat_replication), \
     (SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
     current_setting('synchronous_standby_names'), current_setting('idle_replication_slot_timeout', true), \
     pg_is_in_recovery(), \
     (SELECT rolreplication OR rolsuper OR EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN ('rds_replication') \
         AND pg_has_role(g.oid, 'MEMBER')) FROM pg_roles WHERE rolname = current_user), current_user::text";

/// Asks and checks.
pub(super) async fn examine(session: &Session) -> Result<(Facts, Vec<Check>), pg::Error> {
    let row = session.query_one(FACTS_SQL, &[]).await?;
    let facts = Facts {
        version_num: u32::try_from(row.get::<_, i32>(0)).unwrap_or(0),
        version: row.get(1),
        wal_level: row.get(2),
        slots_max: row.get(3),
        slots: row.get(4),
        slot_exists: row.get(5),
        senders_max: row.get(6),
        senders: row.get(7),
        keep_size_mb: row.get(8),
        standby_names: row.get(9),
        idle_timeout: row.get(10),
        in_recovery: row.get(11),
        may_replicate: row.get(12),
        role: row.get(13),
    };
    let mut checks = settings(&facts);
    checks.push(clock(session).await?);
    Ok((facts, checks))
}

fn settings(facts: &Facts) -> Vec<Check> {
    let restart =
        |setting: &str, value: &str| format!("ALTER SYSTEM SET {setting} = {value}; -- then restart the server");
    let mut checks = vec![version(facts)];
    checks.push(match facts.wal_level.as_str() {
        "logical" => Check::ok("wal_level", "logical"),
        other => Check::finding("wal_level", format!("{other}, not logical"), restart("wal_level", "'logical'")),
    });
    let ours = i64::from(facts.slot_exists);
    let room = [
        ("max_replication_slots", facts.slots_max, facts.slots - ours),
        ("max_wal_senders", facts.senders_max, facts.senders - ours),
    ];
    for (setting, max, used) in room {
        let message = format!("{used} of {max} used by others");
        checks.push(if max - used >= FREE_MIN {
            Check::ok(setting, message)
        } else {
            Check::finding(setting, message, restart(setting, &(used + FREE_MIN + 2).to_string()))
        });
    }
    checks.push(keep_size(facts.keep_size_mb));
    checks.push(synchronous(&facts.standby_names));
    if let Some(timeout) = facts.idle_timeout.as_deref().filter(|t| *t != "0") {
        let message = format!("a slot is given up when pgtape is away for {timeout}");
        let fix = "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();";
        checks.push(Check::advice("idle_replication_slot_timeout", message, fix));
    }
    checks.push(if facts.may_replicate {
        Check::ok("replication_privilege", format!("role {} may replicate", facts.role))
    } else {
        let fix = format!("ALTER ROLE {} REPLICATION;", pg::identifier(&facts.role));
        Check::finding("replication_privilege", format!("role {} may not replicate", facts.role), fix)
    });
    checks
}

fn version(facts: &Facts) -> Check {
    let major = facts.version_num / 10_000;
    let name = "server_version";
    if facts.in_recovery {
        let message = format!("{}, and it is a standby: slots and publications are made on the primary", facts.version);
        return Check::finding(name, message, "-- point --url at the primary");
    }
    if major < *VERSIONS.start() {
        return Check::finding(name, format!("{} is too old", facts.version), "-- upgrade to PostgreSQL 14 or newer");
    }
    if major > *VERSIONS.end() {
        let message = format!("{} is newer than any version pgtape is tested with", facts.version);
        return Check::advice(name, message, "-- see the release notes of pgtape");
    }
    Check::ok(name, &facts.version)
}

fn keep_size(megabytes: i64) -> Check {
    let name = "max_slot_wal_keep_size";
    if megabytes >= 0 {
        return Check::ok(name, format!("{megabytes} MB: a slot that keeps more is given up"));
    }
    let fix = "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf(); -- less than the free disk";
    Check::advice(name, "not bounded: while pgtape is away the server keeps WAL until its disk is full", fix)
}

/// A server that waits for pgtape's feedback would make every commit as slow as pgtape.
fn synchronous(standby_names: &str) -> Check {
    let name = "synchronous_standby_names";
    if waits_for_us(standby_names) {
        let ours = Purpose::Stream.application_name();
        let fix = "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();";
        let fix = format!("{fix} -- or names other than * and {ours}");
        return Check::finding(name, format!("'{standby_names}' makes commits wait for pgtape"), fix);
    }
    Check::ok(name, format!("'{standby_names}' does not make commits wait for pgtape"))
}

async fn clock(session: &Session) -> Result<Check, pg::Error> {
    let before = jiff::Timestamp::now();
    let row = session.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8", &[]).await?;
    let after = jiff::Timestamp::now();
    Ok(clock_skew(before.as_millisecond(), row.get(0), after.as_millisecond()))
}

/// `server` was read between `before` and `after`; all in milliseconds since 1970.
fn clock_skew(before: i64, server: i64, after: i64) -> Check {
    let skew = if server < before { server - before } else { (server - after).max(0) };
    if skew.abs() <= CLOCK_SKEW_MAX_MS {
        return Check::ok("clock", format!("within {CLOCK_SKEW_MAX_MS} ms of the server's"));
    }
    let direction = if skew > 0 { "ahead of" } else { "behind" };
    let message = format!("the server's clock is {} ms {direction} ours: lag in seconds will be wrong", skew.abs());
    Check::finding("clock", message, "-- synchronise both clocks (chrony, ntpd)")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn clocks_apart_are_found_in_both_directions() {
        let check = |server: i64, want: Level| assert_eq!(clock_skew(10_000, server, 10_100).level, want, "{server}");
        check(10_050, Level::Ok);
        check(11_000, Level::Ok);
        check(13_000, Level::Finding);
        check(7_000, Level::Finding);
    }

    #[test]
    fn settings_that_do_not_do_are_found() {
        let good = || Facts {
            version_num: 150_018,
            version: "15.18".into(),
            wal_level: "logical".into(),
            slots_max: 10,
            slots: 1,
            slot_exists: true,
            senders_max: 10,
            senders: 1,
            keep_size_mb: 1024,
            standby_names: String::new(),
            idle_timeout: None,
            in_recovery: false,
            may_replicate: true,
            role: "r".into(),
        };
        let check = |facts: Facts, want: &str| {
            let wrong = settings(&facts).into_iter().filter(|c| c.level != Level::Ok);
            assert_eq!(wrong.map(|c| c.check).collect::<Vec<_>>().join(" "), want);
        };
        check(good(), "");
        check(Facts { version_num: 130_000, ..good() }, "server_version");
        check(Facts { in_recovery: true, ..good() }, "server_version");
        check(Facts { standby_names: "ANY 1 (*)".into(), ..good() }, "synchronous_standby_names");
        check(Facts { wal_level: "replica".into(), ..good() }, "wal_level");
        check(Facts { slots: 10, senders: 10, ..good() }, "max_replication_slots max_wal_senders");
        check(Facts { keep_size_mb: -1, ..good() }, "max_slot_wal_keep_size");
        check(Facts { idle_timeout: Some("1d".into()), ..good() }, "idle_replication_slot_timeout");
        check(Facts { may_replicate: false, ..good() }, "replication_privilege");
    }
}
