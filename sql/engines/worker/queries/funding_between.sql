-- worker.funding_between: funding of one market in a period, newest first. Reads only the partitions of the period.
--
--  $1 exchange    $2 symbol    $3 from, included    $4 to, excluded    $5 most rows
SELECT id, funding_rate_bps, mark_price_quote, index_price_quote, snapshot_at
FROM worker.funding_snapshots
WHERE exchange = $1::text AND symbol = $2::text AND snapshot_at >= $3::timestamptz AND snapshot_at < $4::timestamptz
ORDER BY snapshot_at DESC, id
LIMIT $5::bigint
