-- meltica, a gateway to many venues. Amounts are NUMERIC(32,16). Old rows of orders, executions and balances are
-- published whole; configuration and outbox send their keys.
CREATE SCHEMA IF NOT EXISTS meltica;

CREATE TABLE IF NOT EXISTS meltica.providers (
    id                 bigserial   PRIMARY KEY,
    alias              text        NOT NULL UNIQUE,
    display_name       text        NOT NULL,
    adapter_identifier text        NOT NULL,
    connection         jsonb       NOT NULL,
    status             text        NOT NULL DEFAULT 'inactive',
    metadata           jsonb       NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    deleted_at         timestamptz -- set when an operator removes it
);

CREATE TABLE IF NOT EXISTS meltica.strategy_instances (
    id                  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    strategy_identifier text        NOT NULL,
    version             text        NOT NULL,
    status              text        NOT NULL,
    config_hash         text        NOT NULL,
    description         text        NOT NULL DEFAULT '',
    metadata            jsonb       NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    deleted_at          timestamptz, -- set when an operator removes it
    UNIQUE (strategy_identifier, version)
);

CREATE TABLE IF NOT EXISTS meltica.provider_routes (
    id          bigserial   PRIMARY KEY,
    provider_id bigint      NOT NULL REFERENCES meltica.providers (id) ON DELETE CASCADE,
    symbol      text        NOT NULL,
    route       jsonb       NOT NULL,
    version     integer     NOT NULL DEFAULT 1, -- optimistic lock
    metadata    jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (provider_id, symbol)
);

CREATE TABLE IF NOT EXISTS meltica.orders (
    id                   uuid            PRIMARY KEY,
    provider_id          bigint          NOT NULL REFERENCES meltica.providers (id) ON DELETE RESTRICT,
    strategy_instance_id uuid            REFERENCES meltica.strategy_instances (id) ON DELETE SET NULL,
    client_order_id      text            NOT NULL,
    instrument           text            NOT NULL,
    side                 text            NOT NULL,
    order_type           text            NOT NULL,
    quantity             numeric(32, 16) NOT NULL,
    price                numeric(32, 16),
    state                text            NOT NULL,
    external_order_ref   text,
    placed_at            timestamptz     NOT NULL,
    acknowledged_at      timestamptz,
    completed_at         timestamptz,
    metadata             jsonb           NOT NULL DEFAULT '{}',
    created_at           timestamptz     NOT NULL DEFAULT now(),
    updated_at           timestamptz     NOT NULL DEFAULT now(),
    UNIQUE (provider_id, client_order_id)
);
CREATE INDEX IF NOT EXISTS orders_provider_state ON meltica.orders (provider_id, state);
CREATE INDEX IF NOT EXISTS orders_strategy_instance ON meltica.orders (strategy_instance_id);
ALTER TABLE meltica.orders REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS meltica.executions (
    id            bigserial       PRIMARY KEY,
    order_id      uuid            NOT NULL REFERENCES meltica.orders (id) ON DELETE CASCADE,
    provider_id   bigint          NOT NULL REFERENCES meltica.providers (id) ON DELETE CASCADE,
    execution_id  text            NOT NULL,
    fill_quantity numeric(32, 16) NOT NULL,
    fill_price    numeric(32, 16) NOT NULL,
    fee           numeric(32, 16),
    fee_asset     text,
    liquidity     text,
    traded_at     timestamptz     NOT NULL,
    metadata      jsonb           NOT NULL DEFAULT '{}',
    created_at    timestamptz     NOT NULL DEFAULT now(),
    UNIQUE (order_id, execution_id)
);
CREATE INDEX IF NOT EXISTS executions_provider_traded ON meltica.executions (provider_id, traded_at DESC);
ALTER TABLE meltica.executions REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS meltica.balances (
    id          bigserial       PRIMARY KEY,
    provider_id bigint          NOT NULL REFERENCES meltica.providers (id) ON DELETE CASCADE,
    asset       text            NOT NULL,
    total       numeric(32, 16) NOT NULL,
    available   numeric(32, 16) NOT NULL,
    snapshot_at timestamptz     NOT NULL,
    metadata    jsonb           NOT NULL DEFAULT '{}',
    created_at  timestamptz     NOT NULL DEFAULT now(),
    updated_at  timestamptz     NOT NULL DEFAULT now(),
    UNIQUE (provider_id, asset, snapshot_at)
);
ALTER TABLE meltica.balances REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS meltica.events_outbox (
    id             bigserial   PRIMARY KEY,
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    event_type     text        NOT NULL,
    payload        jsonb       NOT NULL,
    headers        jsonb       NOT NULL DEFAULT '{}',
    available_at   timestamptz NOT NULL DEFAULT now(),
    published_at   timestamptz,
    attempts       integer     NOT NULL DEFAULT 0,
    last_error     text,
    status         text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'delivered')),
    claimed_at     timestamptz,
    delivered      boolean     NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS events_outbox_delivered_available ON meltica.events_outbox (delivered, available_at);

SELECT pgtape.publish('meltica.providers', 'meltica.strategy_instances', 'meltica.provider_routes', 'meltica.orders',
                      'meltica.executions', 'meltica.balances', 'meltica.events_outbox');

-- Kept by pgtape: sql/rollups/meltica.sql says what stands here. A row goes when nothing contributes to it any more.
CREATE TABLE IF NOT EXISTS meltica.pnl_daily (
    day           date        NOT NULL, -- UTC
    account       text        NOT NULL,
    market        text        NOT NULL,
    asset         text        NOT NULL, -- the unit of the amounts
    realized      numeric,              -- NULL: not derived yet
    fees          numeric,
    funding       numeric,
    volume        numeric,
    fill_count    bigint,
    net           numeric,              -- realized - fees + funding; NULL when one of them is
    contributions bigint      NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, account, market, asset)
);

SELECT ledger.unite_pnl_daily();
