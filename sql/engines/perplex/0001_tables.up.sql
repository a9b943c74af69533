-- perplex, the edge of a perpetual-futures exchange. Amounts are exact decimal strings in text columns: that is how its
-- API serves them. Old rows are published whole, except of funding_history.
CREATE SCHEMA IF NOT EXISTS perplex;

-- Resting orders. A filled or cancelled order is deleted; a partial fill lowers `remaining`.
CREATE TABLE IF NOT EXISTS perplex.open_orders (
    id              text PRIMARY KEY,
    address         text NOT NULL,
    market_id       text NOT NULL,
    side            text NOT NULL,
    order_type      text NOT NULL,
    price           text NOT NULL,
    qty             text NOT NULL,
    remaining       text NOT NULL,
    ts_ns           text NOT NULL,
    client_order_id text
);
CREATE INDEX IF NOT EXISTS open_orders_address ON perplex.open_orders (address);
ALTER TABLE perplex.open_orders REPLICA IDENTITY FULL;

-- Rewritten as a whole on each change, deleted when closed.
CREATE TABLE IF NOT EXISTS perplex.positions (
    address               text NOT NULL,
    market_id             text NOT NULL,
    size                  text NOT NULL,
    side                  text NOT NULL,
    entry_price_x18       text NOT NULL,
    mark_price_x18        text NOT NULL,
    notional_usdc         text NOT NULL,
    unrealised_pnl_usdc   text NOT NULL,
    realised_pnl_usdc     text NOT NULL,
    leverage              text NOT NULL,
    liquidation_price_x18 text NOT NULL,
    funding_paid_usdc     text NOT NULL,
    last_updated_ts_ns    text NOT NULL,
    PRIMARY KEY (address, market_id)
);
ALTER TABLE perplex.positions REPLICA IDENTITY FULL;

-- One trade makes two: the maker's and the taker's.
CREATE TABLE IF NOT EXISTS perplex.fills (
    id        text PRIMARY KEY,
    address   text NOT NULL,
    order_id  text NOT NULL,
    market_id text NOT NULL,
    side      text NOT NULL,
    price     text NOT NULL,
    qty       text NOT NULL,
    fee_usdc  text NOT NULL,
    role      text NOT NULL,
    ts_ns     text NOT NULL,
    tx_hash   text NOT NULL,
    seq       bigserial
);
CREATE INDEX IF NOT EXISTS fills_address_seq ON perplex.fills (address, seq);
ALTER TABLE perplex.fills REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS perplex.vault_balances (
    address text PRIMARY KEY,
    amount  text NOT NULL
);
ALTER TABLE perplex.vault_balances REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS perplex.public_trades (
    id        text PRIMARY KEY,
    market_id text NOT NULL,
    price     text NOT NULL,
    qty       text NOT NULL,
    side      text NOT NULL,
    ts_ns     text NOT NULL,
    seq       bigserial
);
CREATE INDEX IF NOT EXISTS public_trades_market_seq ON perplex.public_trades (market_id, seq);
ALTER TABLE perplex.public_trades REPLICA IDENTITY FULL;

CREATE TABLE IF NOT EXISTS perplex.funding_history (
    market_id text             NOT NULL,
    ts_ns     bigint           NOT NULL,
    rate_bps  double precision NOT NULL,
    PRIMARY KEY (market_id, ts_ns)
);

-- Insert-only. Positive: received.
CREATE TABLE IF NOT EXISTS perplex.funding_payments (
    id          text PRIMARY KEY,
    address     text NOT NULL,
    market_id   text NOT NULL,
    ts_ns       text NOT NULL,
    amount_usdc text NOT NULL
);
ALTER TABLE perplex.funding_payments REPLICA IDENTITY FULL;

SELECT pgtape.publish('perplex.open_orders', 'perplex.positions', 'perplex.fills', 'perplex.vault_balances',
                      'perplex.public_trades', 'perplex.funding_history', 'perplex.funding_payments');

-- Kept by pgtape: sql/rollups/perplex.sql says what stands here. A row goes when nothing contributes to it any more.
CREATE TABLE IF NOT EXISTS perplex.pnl_daily (
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
