-- openmatch.pnl_daily: trades, each once for its taker and once for its maker. UTC days.
--
-- The asset is the part of the market after the first '/'. The schema has neither fees nor funding: NULL, and so is net.
-- contributions: trade sides; a user who trades with himself counts twice.
-- Not usable, and left out: a market without an asset, quote_amount NaN, an infinite executed_at.
SELECT day,
       account,
       market,
       asset,
       NULL::numeric AS realized,
       NULL::numeric AS fees,
       NULL::numeric AS funding,
       sum(volume) AS volume,
       count(*) AS fill_count,
       NULL::numeric AS net,
       count(*) AS contributions
FROM (
    SELECT (t.executed_at AT TIME ZONE 'UTC')::date AS day,
           t.taker_user_id::text AS account,
           t.market::text AS market,
           substring(t.market FROM position('/' IN t.market) + 1) AS asset,
           t.quote_amount AS volume
    FROM openmatch.trades t
    WHERE t.market LIKE '%/_%' AND t.quote_amount <> 'NaN' AND isfinite(t.executed_at)
    UNION ALL
    SELECT (t.executed_at AT TIME ZONE 'UTC')::date,
           t.maker_user_id::text,
           t.market::text,
           substring(t.market FROM position('/' IN t.market) + 1),
           t.quote_amount
    FROM openmatch.trades t
    WHERE t.market LIKE '%/_%' AND t.quote_amount <> 'NaN' AND isfinite(t.executed_at)
) AS contribution
GROUP BY day, account, market, asset
