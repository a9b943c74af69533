DROP FUNCTION IF EXISTS ledger.uuid_v5(uuid, text);
DROP FUNCTION IF EXISTS ledger.sha1(bytea);
