-- aether.pnl_daily: a day's bundles and what landed of them. UTC days.
--
-- A bundle counts, with its gas, on the day it was submitted. It counts as included once, however many builders report
-- it, on the day of the earliest resolved_at among its included results, and brings its arb's net profit to that day
-- once the arb is there. contributions: submissions and inclusions.
-- Not usable, and left out: bundles with an infinite submitted_at, with gas_price_wei NaN, or with gas that NUMERIC(78,0)
-- does not hold; inclusion results with an infinite resolved_at; arbs with net_profit_wei NaN.
SELECT day,
       sum(realized_profit_wei) AS realized_profit_wei,
       sum(gas_spent_wei) AS gas_spent_wei,
       sum(bundle_count)::bigint AS bundle_count,
       sum(inclusion_count)::bigint AS inclusion_count,
       count(*) AS contributions
FROM (
    SELECT (b.submitted_at AT TIME ZONE 'UTC')::date AS day,
           0::numeric AS realized_profit_wei,
           coalesce(b.gas_used * b.gas_price_wei, 0) AS gas_spent_wei,
           1 AS bundle_count,
           0 AS inclusion_count
    FROM aether.bundles b
    WHERE isfinite(b.submitted_at) AND b.gas_price_wei IS DISTINCT FROM 'NaN'
      AND coalesce(abs(b.gas_used * b.gas_price_wei), 0) < 1e78
    UNION ALL
    SELECT (min(r.resolved_at) AT TIME ZONE 'UTC')::date,
           coalesce(max(a.net_profit_wei), 0),
           0,
           0,
           1
    FROM aether.inclusion_results r
    JOIN aether.bundles b ON b.bundle_id = r.bundle_id
    LEFT JOIN aether.arbs a ON a.arb_id = b.arb_id AND a.net_profit_wei <> 'NaN'
    WHERE r.included AND isfinite(r.resolved_at)
      AND isfinite(b.submitted_at) AND b.gas_price_wei IS DISTINCT FROM 'NaN'
      AND coalesce(abs(b.gas_used * b.gas_price_wei), 0) < 1e78
    GROUP BY r.bundle_id
) AS contribution
GROUP BY day
