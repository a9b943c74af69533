-- worker.audit_between: audit entries of one type in a period, newest first. Reads only the partitions of the period.
--
--  $1 event_type    $2 from, included    $3 to, excluded    $4 most rows
SELECT id, event_type, event_data, created_at
FROM worker.audit_log
WHERE event_type = $1::text AND created_at >= $2::timestamptz AND created_at < $3::timestamptz
ORDER BY created_at DESC, id
LIMIT $4::bigint
