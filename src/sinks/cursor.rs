//! Where a sink stands, as it is kept in Postgres beside its effect: `pgtape.sink_position`.
//!
//! A position means something only for one server, one publication and one epoch, so all of that is kept with it; the
//! generation is raised whenever someone else takes over or moves it.
//!
//! It speaks of one content of the target. A target that was dropped and made again, or truncated, is empty whatever the
//! position says, so what the server calls that content (the table's OID and its file's number) is kept too: where it
//! differs the position is [`Stored::stale`], which is as good as none. (A rewrite, as of VACUUM FULL, looks the same; the
//! content is then made anew for nothing.)

use tokio_postgres::GenericClient;
use tokio_postgres::types::PgLsn;

use crate::model::{Lsn, OP_ALL};
use crate::pg;
use crate::refusal::{Kind, Refusal};

/// Whose positions these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub system_id: u64,
    /// The timeline that is streamed.
    pub timeline: u32,
    /// The publication's fingerprint.
    pub fingerprint: u64,
}

impl From<&crate::tape::Origin> for Identity {
    fn from(origin: &crate::tape::Origin) -> Self {
        Self { system_id: origin.system_id, timeline: origin.timeline, fingerprint: origin.fingerprint }
    }
}

/// A sink's position as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Raised by each rewind, rebuild and take-over.
    pub generation: i64,
    /// Whose position it is.
    pub identity: Identity,
    /// The epoch.
    pub epoch: u32,
    /// All of the commits up to here.
    pub lsn: Lsn,
    /// The target is not the one that was written up to here: its content has to be made anew.
    pub stale: bool,
}

impl Stored {
    /// The point of the tape.
    #[must_use]
    pub fn point(&self) -> (u32, Lsn) {
        (self.epoch, self.lsn)
    }

    /// Whether the target holds all of the commits up to `lsn`.
    #[must_use]
    pub fn holds(&self, lsn: Lsn) -> bool {
        !self.stale && self.lsn >= lsn
    }
}

/// The content of the target that a sink is named after, as `pgtape.sink_position.target` keeps it; NULL: there is no such
/// table. The catalog is asked, which needs no right on the schema. `$sink` is the sink's name.
const TARGET: &str = "(SELECT c.oid || '/' || coalesce(pg_relation_filenode(c.oid), 0) FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = split_part($sink, '.', 1) AND c.relname = split_part($sink, '.', 2))";

fn with_target(sql: &str, sink: &str) -> String {
    sql.replace("$target", &TARGET.replace("$sink", sink))
}

/// Reads a sink's position; `None`: it has none yet.
pub async fn read(client: &impl GenericClient, sink: &str) -> Result<Option<Stored>, pg::Error> {
    read_with(client, sink, "").await
}

/// The same, and nobody else can move it before the transaction ends. Waits for whoever is just moving it.
pub async fn read_and_lock(client: &impl GenericClient, sink: &str) -> Result<Option<Stored>, pg::Error> {
    read_with(client, sink, " FOR UPDATE").await
}

async fn read_with(client: &impl GenericClient, sink: &str, locking: &str) -> Result<Option<Stored>, pg::Error> {
    const SQL: &str = "SELECT generation, system_id, timeline, fingerprint, epoch, lsn, \
         target IS DISTINCT FROM $target FROM pgtape.sink_position WHERE sink = $1::text";
    let sql = with_target(SQL, "$1::text") + locking;
    let found = client.query_opt(&sql, &[&sink]).await.map_err(|error| match pg::Error::from(error) {
        error if error.is(&pg::SqlState::UNDEFINED_COLUMN) => {
            Refusal::new(Kind::Server, "pgtape.sink_position is an older pgtape's", "run: pgtape migrate up").into()
        }
        error => error,
    })?;
    let Some(row) = found else { return Ok(None) };
    let hint = "pgtape.sink_position was changed by hand: correct it, or rebuild the roll-up";
    let refuse = |column: &str| {
        let what = format!("the position of {sink} holds a {column} that is none");
        pg::Error::from(Refusal::new(Kind::Server, what, hint))
    };
    let system_id = row.get::<_, String>(1).parse().map_err(|_| refuse("system_id"))?;
    let fingerprint = u64::from_str_radix(&row.get::<_, String>(3), 16).map_err(|_| refuse("fingerprint"))?;
    let timeline = u32::try_from(row.get::<_, i32>(2)).map_err(|_| refuse("timeline"))?;
    Ok(Some(Stored {
        generation: row.get(0),
        identity: Identity { system_id, timeline, fingerprint },
        epoch: u32::try_from(row.get::<_, i32>(4)).map_err(|_| refuse("epoch"))?,
        lsn: Lsn(row.get::<_, PgLsn>(5).into()),
        stale: row.get(6),
    }))
}

/// Moves a sink's position from `expected` to `to`, or makes it, for the target as it is now. `false`: it was not where it
/// was expected, or not of the target expected, and nothing has been changed. Must come before the effect, in its
/// transaction.
pub async fn advance(
    client: &impl GenericClient,
    sink: &str,
    expected: Option<&Stored>,
    to: &Stored,
) -> Result<bool, pg::Error> {
    const MAKE: &str = "INSERT INTO pgtape.sink_position \
         (generation, system_id, timeline, fingerprint, epoch, lsn, op, sink, target) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text, $target) ON CONFLICT (sink) DO NOTHING";
    const MOVE: &str = "UPDATE pgtape.sink_position SET generation = $1, system_id = $2, timeline = $3, fingerprint = $4, \
         epoch = $5, lsn = $6, op = $7, target = $target, updated_at = now() WHERE sink = $8::text \
         AND generation = $9 AND epoch = $10 AND lsn = $11 AND (target IS DISTINCT FROM $target) = $12";
    assert!(!to.stale, "what is written is of the target that it is written to");
    let out_of_range = "timelines and epochs fit Postgres's integer";
    let integer = |n: u32| i32::try_from(n).expect(out_of_range);
    let (system_id, fingerprint) = (to.identity.system_id.to_string(), format!("{:016x}", to.identity.fingerprint));
    let (timeline, epoch, lsn) = (integer(to.identity.timeline), integer(to.epoch), PgLsn::from(to.lsn.0));
    let op = i64::try_from(OP_ALL).expect("forty bits");
    let changed = match expected {
        None => {
            let values = (&to.generation, &system_id, &timeline, &fingerprint, &epoch, &lsn, &op, &sink);
            let (g, s, t, f, e, l, o, k) = values;
            client.execute(&with_target(MAKE, "$8::text"), &[g, s, t, f, e, l, o, k]).await?
        }
        Some(was) => {
            let (was_epoch, was_lsn) = (integer(was.epoch), PgLsn::from(was.lsn.0));
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
                &to.generation,
                &system_id,
                &timeline,
                &fingerprint,
                &epoch,
                &lsn,
                &op,
                &sink,
                &was.generation,
                &was_epoch,
                &was_lsn,
                &was.stale,
            ];
            client.execute(&with_target(MOVE, "$8::text"), &values).await?
        }
    };
    Ok(changed == 1)
}
