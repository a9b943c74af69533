-- Where migrations are recorded. Run by the migrator before everything else; no migration of its own, since it could not be recorded.
CREATE SCHEMA IF NOT EXISTS pgtape;
CREATE TABLE IF NOT EXISTS pgtape.migration (
    unit       text        NOT NULL,
    version    integer     NOT NULL,
    name       text        NOT NULL,
    checksum   text        NOT NULL, -- of the up file as it was applied
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (unit, version)
);
