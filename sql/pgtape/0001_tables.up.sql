-- What the service itself keeps in the database. None of it is captured, except the heartbeat.
CREATE SCHEMA IF NOT EXISTS pgtape;

-- How far each sink has come. Written in the transaction of the sink's effect: `UPDATE ... WHERE generation = and lsn =
-- expected`; no row updated means that another writer took over.
CREATE TABLE IF NOT EXISTS pgtape.sink_position (
    sink        text        PRIMARY KEY,
    generation  bigint      NOT NULL,               -- raised by each rewind, rebuild and take-over
    system_id   text        NOT NULL,               -- of the server the position speaks of
    timeline    integer     NOT NULL,
    fingerprint text        NOT NULL,               -- of the publication
    epoch       integer     NOT NULL,
    lsn         pg_lsn      NOT NULL,
    op          bigint      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- One row, written now and then and published: a database that lost the newest heartbeat the tape has seen was restored
-- from an older copy.
CREATE TABLE IF NOT EXISTS pgtape.heartbeat (
    id  integer     PRIMARY KEY,
    lsn pg_lsn      NOT NULL,
    at  timestamptz NOT NULL DEFAULT now()
);

-- Who moved a position, and why.
CREATE TABLE IF NOT EXISTS pgtape.operator_log (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text        NOT NULL,
    command text        NOT NULL,
    reason  text        NOT NULL,
    detail  jsonb       NOT NULL DEFAULT '{}'
);
