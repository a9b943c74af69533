-- worker.pnl_daily: fills with their order, and funding payments. UTC days of filled_at and paid_at.
--
-- The account is the exchange, the market the symbol, the asset that of the fee (of the payment). A fill without an order
-- has neither and is left out. realized and net are NULL until positions are folded. contributions: fills and payments.
-- Not usable, and left out: an infinite filled_at or paid_at.
SELECT day,
       account,
       market,
       asset,
       NULL::numeric AS realized,
       sum(fees) AS fees,
       sum(funding) AS funding,
       sum(volume) AS volume,
       sum(fill_count)::bigint AS fill_count,
       NULL::numeric AS net,
       count(*) AS contributions
FROM (
    SELECT (f.filled_at AT TIME ZONE 'UTC')::date AS day,
           o.exchange AS account,
           o.symbol AS market,
           f.fee_asset AS asset,
           f.fee_quote::numeric AS fees,
           0::numeric AS funding,
           f.price_quote::numeric * f.quantity_base AS volume,
           1 AS fill_count
    FROM worker.fills f
    JOIN worker.orders o ON o.id = f.order_id
    WHERE isfinite(f.filled_at)
    UNION ALL
    SELECT (p.paid_at AT TIME ZONE 'UTC')::date,
           p.exchange,
           p.symbol,
           p.asset,
           0,
           p.amount_quote,
           0,
           0
    FROM worker.funding_payments p
    WHERE isfinite(p.paid_at)
) AS contribution
GROUP BY day, account, market, asset
