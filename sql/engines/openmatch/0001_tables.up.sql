-- openmatch, a batch-matching exchange. Amounts are NUMERIC(28,8). Old rows are published whole, except of epochs.
CREATE SCHEMA IF NOT EXISTS openmatch;

CREATE TABLE IF NOT EXISTS openmatch.orders (
    id            uuid           PRIMARY KEY,
    user_id       uuid           NOT NULL,
    market        varchar(20)    NOT NULL,
    side          varchar(4)     NOT NULL CHECK (side IN ('BUY', 'SELL')),
    order_type    varchar(10)    NOT NULL CHECK (order_type IN ('LIMIT', 'MARKET', 'CANCEL')),
    status        varchar(20)    NOT NULL CHECK (status IN ('PENDING_ESCROW', 'ACTIVE', 'PARTIALLY_FILLED', 'FILLED',
                                                            'CANCELLED', 'REJECTED', 'EXPIRED')),
    price         numeric(28, 8),
    quantity      numeric(28, 8) NOT NULL,
    remaining_qty numeric(28, 8) NOT NULL,
    batch_id      bigint,
    sequence      bigint         NOT NULL DEFAULT 0,
    origin_node   bytea          NOT NULL,
    created_at    timestamptz    NOT NULL,
    updated_at    timestamptz    NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_market_status ON openmatch.orders (market, status);
CREATE INDEX IF NOT EXISTS orders_user_market ON openmatch.orders (user_id, market);
ALTER TABLE openmatch.orders REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS openmatch.trades (
    id             uuid           PRIMARY KEY,
    batch_id       bigint         NOT NULL,
    market         varchar(20)    NOT NULL,
    taker_order_id uuid           NOT NULL REFERENCES openmatch.orders (id),
    maker_order_id uuid           NOT NULL REFERENCES openmatch.orders (id),
    taker_user_id  uuid           NOT NULL,
    maker_user_id  uuid           NOT NULL,
    price          numeric(28, 8) NOT NULL,
    quantity       numeric(28, 8) NOT NULL,
    quote_amount   numeric(28, 8) NOT NULL,
    taker_side     varchar(4)     NOT NULL CHECK (taker_side IN ('BUY', 'SELL')),
    matcher_node   bytea          NOT NULL,
    executed_at    timestamptz    NOT NULL
);
CREATE INDEX IF NOT EXISTS trades_market_executed ON openmatch.trades (market, executed_at DESC);
CREATE INDEX IF NOT EXISTS trades_batch ON openmatch.trades (batch_id);
ALTER TABLE openmatch.trades REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS openmatch.balances (
    user_id    uuid           NOT NULL,
    asset      varchar(10)    NOT NULL,
    available  numeric(28, 8) NOT NULL DEFAULT 0,
    frozen     numeric(28, 8) NOT NULL DEFAULT 0,
    updated_at timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, asset)
);
ALTER TABLE openmatch.balances REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS openmatch.epochs (
    epoch_id     bigint      PRIMARY KEY,
    phase        varchar(10) NOT NULL,
    batch_hash   bytea,
    result_hash  bytea,
    trade_count  integer     DEFAULT 0,
    started_at   timestamptz NOT NULL,
    completed_at timestamptz
);

SELECT pgtape.publish('openmatch.orders', 'openmatch.trades', 'openmatch.balances', 'openmatch.epochs');

-- Kept by pgtape: sql/rollups/openmatch.sql says what stands here. A row goes when nothing contributes to it any more.
CREATE TABLE IF NOT EXISTS openmatch.pnl_daily (
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
