-- worker, a trading bot. Amounts are integers in base and quote units. Old rows are published whole, except of
-- state_snapshots. audit_log and funding_snapshots are partitioned by UTC month; the default partition takes what has no
-- month yet, so that an insert never fails.
CREATE SCHEMA IF NOT EXISTS worker;

CREATE TABLE IF NOT EXISTS worker.orders (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    exchange          text        NOT NULL,
    symbol            text        NOT NULL,
    side              text        NOT NULL CHECK (side IN ('BUY', 'SELL')),
    type              text        NOT NULL CHECK (type IN ('MARKET', 'LIMIT', 'IOC', 'FOK')),
    quantity_base     bigint      NOT NULL,
    price_quote       bigint,
    status            text        NOT NULL CHECK (status IN ('PENDING', 'OPEN', 'FILLED', 'PARTIALLY_FILLED', 'CANCELLED',
                                                             'REJECTED')),
    exchange_order_id text        UNIQUE,
    idempotency_key   text        UNIQUE,
    created_at        timestamptz DEFAULT now(),
    updated_at        timestamptz DEFAULT now()
);
CREATE INDEX IF NOT EXISTS orders_created ON worker.orders (created_at DESC);
CREATE INDEX IF NOT EXISTS orders_live ON worker.orders (status) WHERE status IN ('OPEN', 'PENDING');
CREATE INDEX IF NOT EXISTS orders_partly_filled ON worker.orders (status) WHERE status = 'PARTIALLY_FILLED';
ALTER TABLE worker.orders REPLICA IDENTITY FULL;

-- The order that has the key. Volatile, so that it looks with a snapshot of its own: a statement that waited for another
-- one to commit this key could not see it with the snapshot it began with.
CREATE OR REPLACE FUNCTION worker.order_of_key(key text) RETURNS uuid LANGUAGE plpgsql VOLATILE STRICT AS $$
BEGIN
    RETURN (SELECT id FROM worker.orders WHERE idempotency_key = key);
END $$;

-- A fill and its order's new status are one transaction.
CREATE TABLE IF NOT EXISTS worker.fills (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    order_id         uuid        REFERENCES worker.orders (id) ON DELETE CASCADE,
    exchange_fill_id text        NOT NULL UNIQUE,
    price_quote      bigint      NOT NULL,
    quantity_base    bigint      NOT NULL,
    fee_quote        bigint      NOT NULL,
    fee_asset        text        NOT NULL,
    filled_at        timestamptz NOT NULL,
    created_at       timestamptz DEFAULT now()
);
CREATE INDEX IF NOT EXISTS fills_order ON worker.fills (order_id);
CREATE INDEX IF NOT EXISTS fills_filled ON worker.fills (filled_at DESC);
ALTER TABLE worker.fills REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS worker.state_snapshots (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    snapshot      jsonb       NOT NULL, -- balances, positions, open orders
    reconciled_at timestamptz NOT NULL,
    created_at    timestamptz DEFAULT now()
);
CREATE INDEX IF NOT EXISTS state_snapshots_reconciled ON worker.state_snapshots (reconciled_at DESC);

CREATE TABLE IF NOT EXISTS worker.audit_log (
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    event_type text        NOT NULL CHECK (event_type IN ('DECISION', 'ERROR', 'STATE_TRANSITION', 'RECONCILIATION')),
    event_data jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX IF NOT EXISTS audit_log_type_created ON worker.audit_log (event_type, created_at DESC);
CREATE TABLE IF NOT EXISTS worker.audit_log_default PARTITION OF worker.audit_log DEFAULT;
ALTER TABLE worker.audit_log REPLICA IDENTITY FULL;
ALTER TABLE worker.audit_log_default REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS worker.funding_snapshots (
    id                uuid        NOT NULL DEFAULT gen_random_uuid(),
    exchange          text        NOT NULL,
    symbol            text        NOT NULL,
    funding_rate_bps  bigint      NOT NULL,
    mark_price_quote  bigint      NOT NULL,
    index_price_quote bigint      NOT NULL,
    snapshot_at       timestamptz NOT NULL,
    created_at        timestamptz DEFAULT now(),
    PRIMARY KEY (id, snapshot_at)
) PARTITION BY RANGE (snapshot_at);
CREATE INDEX IF NOT EXISTS funding_snapshots_market ON worker.funding_snapshots (exchange, symbol, snapshot_at DESC);
CREATE TABLE IF NOT EXISTS worker.funding_snapshots_default PARTITION OF worker.funding_snapshots DEFAULT;
ALTER TABLE worker.funding_snapshots REPLICA IDENTITY FULL;
ALTER TABLE worker.funding_snapshots_default REPLICA IDENTITY FULL;

-- Insert-only. Positive: received.
CREATE TABLE IF NOT EXISTS worker.funding_payments (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    exchange     text        NOT NULL,
    symbol       text        NOT NULL,
    asset        text        NOT NULL,
    amount_quote bigint      NOT NULL,
    paid_at      timestamptz NOT NULL
);
ALTER TABLE worker.funding_payments REPLICA IDENTITY FULL;

-- This month and the next twelve; `SELECT worker.add_partitions(12)` from cron keeps them coming.
CREATE OR REPLACE FUNCTION worker.add_partitions(months_ahead integer) RETURNS void LANGUAGE sql AS $$
    SELECT pgtape.add_partitions(parent, (now() AT TIME ZONE 'UTC')::date, months_ahead + 1)
    FROM unnest(ARRAY['worker.audit_log', 'worker.funding_snapshots']::regclass[]) AS parent
$$;
SELECT worker.add_partitions(12);

SELECT pgtape.publish('worker.orders', 'worker.fills', 'worker.state_snapshots', 'worker.audit_log',
                      'worker.funding_snapshots', 'worker.funding_payments');

-- Kept by pgtape: sql/rollups/worker.sql says what stands here. A row goes when nothing contributes to it any more.
CREATE TABLE IF NOT EXISTS worker.pnl_daily (
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
