-- worker.funding_at: funding of one market as last seen at or before a moment, looking back one month.
--
--  $1 exchange    $2 symbol    $3 moment
SELECT id, funding_rate_bps, mark_price_quote, index_price_quote, snapshot_at
FROM worker.funding_snapshots
WHERE exchange = $1::text AND symbol = $2::text
  AND snapshot_at <= $3::timestamptz AND snapshot_at > $3::timestamptz - interval '1 month'
ORDER BY snapshot_at DESC, id
LIMIT 1
