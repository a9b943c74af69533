-- perplex.pnl_daily: fills and funding payments, by account and market. UTC days, from ts_ns by exact division.
--
-- contributions: fills and funding payments. realized and net are NULL until positions are folded.
-- Amounts are text. Usable is `-?digits[.digits]` with at most 100 digits on either side, and a ts_ns of 1 to 19 digits;
-- a row with anything else is left out.
SELECT day,
       account,
       market,
       'USDC' AS asset,
       NULL::numeric AS realized,
       sum(fees) AS fees,
       sum(funding) AS funding,
       sum(volume) AS volume,
       sum(fill_count)::bigint AS fill_count,
       NULL::numeric AS net,
       count(*) AS contributions
FROM (
    SELECT date '1970-01-01' + div(f.ts_ns::numeric, 86400000000000)::integer AS day,
           f.address AS account,
           f.market_id AS market,
           f.fee_usdc::numeric AS fees,
           0::numeric AS funding,
           f.price::numeric * f.qty::numeric AS volume,
           1 AS fill_count
    FROM perplex.fills f
    WHERE f.ts_ns ~ '^[0-9]{1,19}$'
      AND f.price ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$'
      AND f.qty ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$'
      AND f.fee_usdc ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$'
    UNION ALL
    SELECT date '1970-01-01' + div(p.ts_ns::numeric, 86400000000000)::integer,
           p.address,
           p.market_id,
           0,
           p.amount_usdc::numeric,
           0,
           0
    FROM perplex.funding_payments p
    WHERE p.ts_ns ~ '^[0-9]{1,19}$' AND p.amount_usdc ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$'
) AS contribution
GROUP BY day, account, market
