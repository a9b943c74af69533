-- Events without a natural key insert their id here, in their own transaction: the insert of a retry waits for the first
-- attempt, which may still be committing, and then finds the id and does nothing.
CREATE SCHEMA IF NOT EXISTS ledger;

CREATE TABLE IF NOT EXISTS ledger.applied (
    event_id uuid        PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS applied_at ON ledger.applied (at);

-- Forgets ids older than `age`, which must be longer than any engine may go on retrying. Returns how many.
CREATE OR REPLACE FUNCTION ledger.prune_applied(age interval) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    pruned bigint;
BEGIN
    IF age < interval '1 day' THEN
        RAISE EXCEPTION 'ids younger than a day may still be retried' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM ledger.applied WHERE at < now() - age;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END $$;
