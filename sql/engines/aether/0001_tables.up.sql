-- aether, MEV arbitrage: a Rust engine writes arbs, a Go executor writes bundles and inclusion results, and nothing orders
-- them across processes. Wei amounts are NUMERIC(78,0). Old rows are published whole, except of pool_registry.
CREATE SCHEMA IF NOT EXISTS aether;

CREATE TABLE IF NOT EXISTS aether.arbs (
    arb_id           uuid           PRIMARY KEY,
    ts               timestamptz    NOT NULL,
    target_block     bigint         NOT NULL,
    path_hash        bytea          NOT NULL,
    hops             smallint       NOT NULL,
    path             jsonb          NOT NULL,
    protocols        jsonb          NOT NULL,
    pool_addresses   jsonb          NOT NULL,
    flashloan_token  bytea          NOT NULL,
    flashloan_amount numeric(78, 0) NOT NULL,
    gross_profit_wei numeric(78, 0) NOT NULL,
    net_profit_wei   numeric(78, 0) NOT NULL,
    gas_estimate     bigint         NOT NULL,
    tip_bps          integer        NOT NULL,
    detection_us     bigint,
    sim_us           bigint,
    git_sha          text
);
CREATE INDEX IF NOT EXISTS arbs_target_block ON aether.arbs (target_block);
CREATE INDEX IF NOT EXISTS arbs_ts ON aether.arbs (ts DESC);
CREATE INDEX IF NOT EXISTS arbs_path_hash ON aether.arbs (path_hash);
ALTER TABLE aether.arbs REPLICA IDENTITY FULL;

-- No foreign key on arb_id: the bundle often lands first.
CREATE TABLE IF NOT EXISTS aether.bundles (
    bundle_id     uuid           PRIMARY KEY,
    arb_id        uuid           NOT NULL,
    submitted_at  timestamptz    NOT NULL,
    target_block  bigint         NOT NULL,
    signed_tx_hex text           NOT NULL,
    gas_used      bigint,
    gas_price_wei numeric(78, 0),
    is_shadow     boolean        NOT NULL DEFAULT false,
    builders      jsonb          NOT NULL
);
CREATE INDEX IF NOT EXISTS bundles_arb ON aether.bundles (arb_id);
CREATE INDEX IF NOT EXISTS bundles_submitted ON aether.bundles (submitted_at DESC);
ALTER TABLE aether.bundles REPLICA IDENTITY FULL;

-- Written with included = false at submission; only what is found on chain sets it.
CREATE TABLE IF NOT EXISTS aether.inclusion_results (
    bundle_id      uuid        NOT NULL,
    builder        text        NOT NULL,
    included       boolean     NOT NULL,
    included_block bigint,
    landed_tx_hash bytea,
    error          text,
    resolved_at    timestamptz NOT NULL,
    PRIMARY KEY (bundle_id, builder)
);
CREATE INDEX IF NOT EXISTS inclusion_results_block ON aether.inclusion_results (included_block) WHERE included;
ALTER TABLE aether.inclusion_results REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS aether.pool_registry (
    address    bytea       PRIMARY KEY,
    protocol   text        NOT NULL,
    token0     bytea       NOT NULL,
    token1     bytea       NOT NULL,
    fee_bps    integer,
    tier       text,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    source     text        NOT NULL
);

SELECT pgtape.publish('aether.arbs', 'aether.bundles', 'aether.inclusion_results', 'aether.pool_registry');

-- Kept by pgtape: sql/rollups/aether.sql says what stands here. A row goes when nothing contributes to it any more.
CREATE TABLE IF NOT EXISTS aether.pnl_daily (
    day                 date           PRIMARY KEY, -- UTC
    realized_profit_wei numeric(78, 0) NOT NULL DEFAULT 0,
    gas_spent_wei       numeric(78, 0) NOT NULL DEFAULT 0,
    bundle_count        bigint         NOT NULL DEFAULT 0,
    inclusion_count     bigint         NOT NULL DEFAULT 0,
    contributions       bigint         NOT NULL DEFAULT 0,
    updated_at          timestamptz    NOT NULL DEFAULT now()
);

SELECT ledger.unite_pnl_daily();

-- Ids are functions of what they name, so that a resubmission meets its own row. The namespaces are fixed for ever.
CREATE OR REPLACE FUNCTION aether.arb_id(opportunity_id text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ledger.uuid_v5('ebcd4a97-1763-5976-9d20-ae41e209a861', opportunity_id)
$$;
CREATE OR REPLACE FUNCTION aether.bundle_id(arb_id uuid, target_block bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ledger.uuid_v5('e03ec5b4-1f73-5934-8756-544553a1ca92', arb_id || ':' || target_block)
$$;
