-- worker.latest_snapshot: the state as last reconciled.
SELECT id, snapshot, reconciled_at
FROM worker.state_snapshots
ORDER BY reconciled_at DESC, id
LIMIT 1
