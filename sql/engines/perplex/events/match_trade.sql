-- perplex: a taker trades with one resting order: the public trade, two fills, the maker's order lowered or deleted, both
-- positions, both vault balances, all or nothing.
--
--  $1 trade_id     $2 market_id         $3 price            $4 qty          $5 ts_ns         $6 tx_hash
--  $7 maker_order_id    $8 maker_address    $9 maker_fill_id    $10 maker_side (buy|sell)    $11 maker_fee_usdc
--  $12 taker_order_id   $13 taker_address   $14 taker_fill_id   $15 taker_side (buy|sell)    $16 taker_fee_usdc
--  $17 maker_delta_usdc   $18 taker_delta_usdc    what is added to the vault balances: realised P&L less fee
--  $19 positions jsonb    array of whole rows of perplex.positions, every value a string; size "0" closes
--
-- Answers: applied; known: the trade is there, by this or an earlier attempt. Neither: the maker's order does not rest
--   with that much remaining; nothing was written, decide again.
-- Idempotency: by trade_id, the key of public_trades; everything else hangs on its insert.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
-- Maker and taker must be two addresses.
WITH maker AS (
    SELECT id FROM perplex.open_orders
    WHERE id = $7::text AND address = $8::text AND remaining::numeric >= $4::text::numeric
    FOR UPDATE
), once AS (
    INSERT INTO perplex.public_trades (id, market_id, price, qty, side, ts_ns)
    SELECT $1::text, $2::text, $3::text, $4::text, $15::text, $5::text FROM maker
    ON CONFLICT (id) DO NOTHING RETURNING id
), filled AS (
    INSERT INTO perplex.fills (id, address, order_id, market_id, side, price, qty, fee_usdc, role, ts_ns, tx_hash)
    SELECT f.id, f.address, f.order_id, $2::text, f.side, $3::text, $4::text, f.fee, f.role, $5::text, $6::text
    FROM once, (VALUES
        ($9::text, $8::text, $7::text, $10::text, $11::text, 'maker'),
        ($14::text, $13::text, $12::text, $15::text, $16::text, 'taker')
    ) AS f (id, address, order_id, side, fee, role)
), lowered AS (
    UPDATE perplex.open_orders o SET remaining = (o.remaining::numeric - $4::text::numeric)::text
    FROM once WHERE o.id = $7::text AND o.remaining::numeric > $4::text::numeric
), taken AS (
    DELETE FROM perplex.open_orders o
    USING once WHERE o.id = $7::text AND o.remaining::numeric = $4::text::numeric
), moved AS (
    INSERT INTO perplex.vault_balances AS v (address, amount)
    SELECT d.address, d.delta
    FROM once, (VALUES ($8::text, $17::text), ($13::text, $18::text)) AS d (address, delta)
    ORDER BY d.address
    ON CONFLICT (address) DO UPDATE SET amount = (v.amount::numeric + EXCLUDED.amount::numeric)::text
), positions AS (
    SELECT p.*
    FROM once, jsonb_to_recordset($19::jsonb) AS p (
        address text, market_id text, size text, side text, entry_price_x18 text, mark_price_x18 text,
        notional_usdc text, unrealised_pnl_usdc text, realised_pnl_usdc text, leverage text,
        liquidation_price_x18 text, funding_paid_usdc text, last_updated_ts_ns text)
), closed AS (
    DELETE FROM perplex.positions t USING positions p
    WHERE t.address = p.address AND t.market_id = p.market_id AND p.size::numeric = 0
), kept AS (
    INSERT INTO perplex.positions (
        address, market_id, size, side, entry_price_x18, mark_price_x18, notional_usdc, unrealised_pnl_usdc,
        realised_pnl_usdc, leverage, liquidation_price_x18, funding_paid_usdc, last_updated_ts_ns)
    SELECT p.address, p.market_id, p.size, p.side, p.entry_price_x18, p.mark_price_x18, p.notional_usdc,
        p.unrealised_pnl_usdc, p.realised_pnl_usdc, p.leverage, p.liquidation_price_x18, p.funding_paid_usdc,
        p.last_updated_ts_ns
    FROM positions p WHERE p.size::numeric <> 0 ORDER BY p.address
    ON CONFLICT (address, market_id) DO UPDATE SET
        size = EXCLUDED.size, side = EXCLUDED.side, entry_price_x18 = EXCLUDED.entry_price_x18,
        mark_price_x18 = EXCLUDED.mark_price_x18, notional_usdc = EXCLUDED.notional_usdc,
        unrealised_pnl_usdc = EXCLUDED.unrealised_pnl_usdc, realised_pnl_usdc = EXCLUDED.realised_pnl_usdc,
        leverage = EXCLUDED.leverage, liquidation_price_x18 = EXCLUDED.liquidation_price_x18,
        funding_paid_usdc = EXCLUDED.funding_paid_usdc, last_updated_ts_ns = EXCLUDED.last_updated_ts_ns
)
SELECT EXISTS (SELECT FROM once) AS applied,
    EXISTS (SELECT FROM once) OR EXISTS (SELECT FROM perplex.public_trades WHERE id = $1::text) AS known
