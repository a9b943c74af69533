//! One backlog that can be drained again and again: the slot, the data directory and the roll-up are put back each time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgtape::sandbox::{Options, PrivatePostgres, Service, ServiceProcess};
use tempfile::TempDir;

use crate::Error;

/// The first start of a service on empty tables.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Room for the backlog, nothing that runs beside, and what commits cost is not what is measured.
const POSTGRES: &[(&str, &str)] = &[
    ("synchronous_commit", "off"),
    ("autovacuum", "off"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1h"),
];

/// The roll-up is openmatch's: two contributions a row.
const CONFIG: &str = r#"
[source]
tables = ["openmatch.trades"]
[rollups]
names = ["openmatch.pnl_daily"]
"#;

/// 13 columns, about 350 bytes of text a row. Without the foreign keys' look-ups; commits every `per` rows.
const FILL: &str = "
    CREATE PROCEDURE fill(first int, rows int, per int) LANGUAGE plpgsql AS $$
    BEGIN
      SET session_replication_role = replica;
      FOR start IN first .. first + rows - 1 BY per LOOP
        INSERT INTO openmatch.trades
        SELECT md5('trade' || n)::uuid, n / 1000, (ARRAY['BTC/USDT','ETH/USDT','SOL/USDT','ARB/USDT'])[n % 4 + 1],
               md5('order' || n)::uuid, md5('order' || n + 1)::uuid, md5('user' || n % 100)::uuid,
               md5('user' || n % 101)::uuid, 60000 + n % 977 * 0.25, 0.001 * (n % 997 + 1), 60.5 * (n % 997 + 1),
               CASE n % 2 WHEN 0 THEN 'BUY' ELSE 'SELL' END, '\\x6e6f64653031',
               '2026-01-01 00:00+00'::timestamptz + n * interval '1 ms'
        FROM generate_series(start, least(start + per, first + rows) - 1) AS n;
        COMMIT;
      END LOOP;
    END $$;
    CREATE TABLE saved_position AS TABLE pgtape.sink_position;";

/// A server whose slot `pgtape_base` stands before the backlog.
pub struct Backlog {
    pub postgres: PrivatePostgres,
    service: Service,
    files: TempDir,
}

impl Backlog {
    /// A migrated server, and a data directory whose tape stands at an empty table.
    pub fn prepare() -> Result<Self, Error> {
        let files = tempfile::Builder::new().prefix("pgtape-bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let postgres = PrivatePostgres::start(Options { settings: POSTGRES, ..Options::default() })?;
        let base = files.path().join("base");
        let service = Service::new(env!("CARGO_BIN_EXE_pgtape"), &postgres.url(), &base)?.config(CONFIG)?;
        let migrated = service.finish(&["migrate", "up"])?;
        if migrated.code != Some(0) {
            return Err(migrated.stderr.into());
        }
        let mut running = ServiceProcess::start(service.clone())?;
        running.wait_ready(READY_LIMIT)?;
        running.terminate(READY_LIMIT)?;
        postgres.psql("SELECT pg_copy_logical_replication_slot('pgtape', 'pgtape_base')")?;
        postgres.psql(FILL)?;
        Ok(Self { postgres, service, files })
    }

    /// Commits `rows` rows in transactions of `per`, and then one row more. Returns a position between the two: who is
    /// past it has everything.
    pub fn fill(&self, first: u32, rows: u32, per: u32) -> Result<String, Error> {
        self.postgres.psql(&format!("CALL fill({first}, {rows}, {per})"))?;
        let end = self.postgres.psql("SELECT pg_current_wal_insert_lsn()")?;
        self.postgres.psql(&format!("CALL fill({}, 1, 1)", first + rows))?;
        Ok(end)
    }

    /// A slot that stands before the backlog.
    pub fn slot(&self, name: &str) -> Result<(), Error> {
        let sql = format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}';
             SELECT pg_copy_logical_replication_slot('pgtape_base', '{name}');"
        );
        self.postgres.psql(&sql)?;
        Ok(())
    }

    /// The service as it was before the backlog: slot, tape, checkpoint, roll-up.
    pub fn service(&self) -> Result<Service, Error> {
        self.slot("pgtape")?;
        self.postgres.psql(
            "DELETE FROM openmatch.pnl_daily; DELETE FROM pgtape.sink_position;
             INSERT INTO pgtape.sink_position TABLE saved_position; CHECKPOINT;",
        )?;
        let run = self.run_dir();
        let _ = std::fs::remove_dir_all(&run);
        let copied = Command::new("cp").arg("-a").arg(self.files.path().join("base")).arg(&run).status()?;
        if !copied.success() {
            return Err("the data directory cannot be copied".into());
        }
        Ok(Service { data_dir: run, ..self.service.clone() })
    }

    fn run_dir(&self) -> PathBuf {
        Path::new(self.files.path()).join("run")
    }
}
