-- A database pgtape has never heard of. shop.every_type is made by the test, from its list of types.
CREATE SCHEMA shop;
CREATE SCHEMA "Wein & Käse";

CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'so "happy"');
CREATE DOMAIN shop.cents AS bigint CHECK (VALUE >= 0);
CREATE TYPE shop.pair AS (a int, b text);

CREATE TABLE "Wein & Käse"."naïve.table ""quoted"" 表" (
    "the Key" text PRIMARY KEY,
    " leading" text,
    "SELECT" int
);

CREATE TABLE shop."a,b" (id int PRIMARY KEY, "x'y" text);

CREATE TABLE shop.composite (
    region text,
    "Number" int,
    note text,
    amount numeric,
    PRIMARY KEY (region, "Number")
);

-- The identity's columns stand neither first nor in the index's order.
CREATE TABLE shop.by_index (
    payload jsonb,
    code text NOT NULL,
    day date NOT NULL,
    note text
);
CREATE UNIQUE INDEX by_index_identity ON shop.by_index (day, code);
ALTER TABLE shop.by_index REPLICA IDENTITY USING INDEX by_index_identity;

-- Duplicate rows are meant.
CREATE TABLE shop.no_key (a int, b text, "C c" float8);
ALTER TABLE shop.no_key REPLICA IDENTITY FULL;

CREATE TABLE shop.keyed_full (id int PRIMARY KEY, big text, small int);
ALTER TABLE shop.keyed_full REPLICA IDENTITY FULL;

CREATE TABLE shop.toasted (id int PRIMARY KEY, big text, other text, small int);
ALTER TABLE shop.toasted ALTER COLUMN big SET STORAGE EXTERNAL;

CREATE TABLE shop.generated (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);

-- Two levels, and a default partition at each.
CREATE TABLE shop.events (id int, day date, kind text, note text, PRIMARY KEY (id, day, kind)) PARTITION BY RANGE (day);
CREATE TABLE shop.events_2025 PARTITION OF shop.events
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (kind);
CREATE TABLE shop.events_2025_order PARTITION OF shop.events_2025 FOR VALUES IN ('order');
CREATE TABLE shop.events_2025_rest PARTITION OF shop.events_2025 DEFAULT;
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT;
