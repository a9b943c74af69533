-- meltica.pnl_daily: executions with their order. UTC days of traded_at.
--
-- The account is `<provider_id>/<strategy_instance_id>`, of the execution and of its order, '-' for no strategy. The asset
-- is the part of the instrument after the first '-'. A fee counts in the group of its own asset: where that is another
-- asset, or none is named ('-'), it makes a group with fees alone (volume and fill_count 0). A fill without a reported fee adds
-- none. The schema has no funding: NULL, and so is net. contributions: executions, and fees in a group of their own.
-- Not usable, and left out: an instrument without an asset, a fill_price, fill_quantity or fee NaN, an infinite traded_at.
SELECT day,
       account,
       market,
       asset,
       NULL::numeric AS realized,
       sum(fees) AS fees,
       NULL::numeric AS funding,
       sum(volume) AS volume,
       sum(fill_count)::bigint AS fill_count,
       NULL::numeric AS net,
       count(*) AS contributions
FROM (
    SELECT (e.traded_at AT TIME ZONE 'UTC')::date AS day,
           e.provider_id || '/' || coalesce(o.strategy_instance_id::text, '-') AS account,
           o.instrument AS market,
           substring(o.instrument FROM position('-' IN o.instrument) + 1) AS asset,
           CASE WHEN e.fee_asset = substring(o.instrument FROM position('-' IN o.instrument) + 1)
                THEN coalesce(e.fee, 0) ELSE 0 END AS fees,
           e.fill_price * e.fill_quantity AS volume,
           1 AS fill_count
    FROM meltica.executions e
    JOIN meltica.orders o ON o.id = e.order_id
    WHERE o.instrument LIKE '%-_%' AND e.fill_price <> 'NaN' AND e.fill_quantity <> 'NaN'
      AND e.fee IS DISTINCT FROM 'NaN' AND isfinite(e.traded_at)
    UNION ALL
    SELECT (e.traded_at AT TIME ZONE 'UTC')::date,
           e.provider_id || '/' || coalesce(o.strategy_instance_id::text, '-'),
           o.instrument,
           coalesce(e.fee_asset, '-'),
           e.fee,
           0,
           0
    FROM meltica.executions e
    JOIN meltica.orders o ON o.id = e.order_id
    WHERE o.instrument LIKE '%-_%' AND e.fill_price <> 'NaN' AND e.fill_quantity <> 'NaN'
      AND e.fee <> 'NaN' AND isfinite(e.traded_at)
      AND coalesce(e.fee_asset, '-') <> substring(o.instrument FROM position('-' IN o.instrument) + 1)
) AS contribution
GROUP BY day, account, market, asset
