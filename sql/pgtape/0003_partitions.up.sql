-- Monthly partitions whose changes all pass through the stream.
--
-- With publish_via_partition_root the stream carries row changes of a leaf, but not that a leaf was attached, detached,
-- truncated or dropped. So rows are moved and removed as rows, and only then does a leaf come or go.

-- Makes the leaf `<parent>_YYYY_MM` for the UTC month that holds `month`, with the parent's replica identity (which a
-- leaf does not inherit). Rows of that month that wait in the default partition move into it, in this transaction and
-- through the parent. Makes nothing if the leaf is there.
CREATE OR REPLACE FUNCTION pgtape.add_partition(parent regclass, month date) RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
    first_day date := date_trunc('month', month::timestamp)::date;
    from_at   text := to_char(first_day, 'YYYY-MM-DD') || ' 00:00:00+00';
    to_at     text := to_char(first_day + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
    namespace name;
    root      name;
    identity  "char";
    leaf      text;
    rest      regclass;
    key       name;
BEGIN
    SELECT n.nspname, c.relname, c.relreplident INTO namespace, root, identity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
    leaf := format('%I.%I', namespace, root || to_char(first_day, '_YYYY_MM'));
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN leaf::regclass;
    END IF;

    SELECT nullif(p.partdefid, 0)::regclass, a.attname INTO rest, key
    FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent AND p.partnatts = 1 AND p.partstrat = 'r';
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not partitioned by range of one column', parent USING ERRCODE = 'wrong_object_type';
    END IF;

    IF rest IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', rest);
        EXECUTE format('CREATE TEMPORARY TABLE pgtape_moving ON COMMIT DROP AS SELECT * FROM %s WHERE %I >= %L AND %I < %L',
                       rest, key, from_at, key, to_at);
        EXECUTE format('DELETE FROM %s WHERE %I >= %L AND %I < %L', rest, key, from_at, key, to_at);
    END IF;
    EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', leaf, parent, from_at, to_at);
    IF identity = 'f' THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', leaf);
    END IF;
    IF rest IS NOT NULL THEN
        EXECUTE format('INSERT INTO %s SELECT * FROM pg_temp.pgtape_moving', parent);
        DROP TABLE pg_temp.pgtape_moving;
    END IF;
    RETURN leaf::regclass;
END $$;

-- The month that holds `first` and the `months - 1` after it.
CREATE OR REPLACE FUNCTION pgtape.add_partitions(parent regclass, first date, months integer) RETURNS void LANGUAGE sql AS $$
    SELECT pgtape.add_partition(parent, (date_trunc('month', first::timestamp) + make_interval(months => n))::date)
    FROM generate_series(0, months - 1) AS n
$$;

-- `CALL pgtape.drop_partition('worker.audit_log_2026_01')`: deletes the rows, so that the stream carries it, and then
-- drops the leaf. The bulk is deleted without a lock that an engine would feel; what came in between goes under the lock,
-- for which it waits two seconds at most. Not inside a transaction block.
CREATE OR REPLACE PROCEDURE pgtape.drop_partition(leaf regclass) LANGUAGE plpgsql AS $$
DECLARE
    root regclass;
BEGIN
    SELECT inhparent::regclass INTO root
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.oid = leaf AND c.relispartition AND c.relkind = 'r';
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a leaf partition', leaf USING ERRCODE = 'wrong_object_type';
    END IF;
    EXECUTE format('DELETE FROM ONLY %s', leaf);
    COMMIT;
    PERFORM set_config('lock_timeout', '2s', true);
    EXECUTE format('LOCK TABLE ONLY %s, %s IN ACCESS EXCLUSIVE MODE', root, leaf);
    EXECUTE format('DELETE FROM ONLY %s', leaf);
    EXECUTE format('DROP TABLE %s', leaf);
END $$;
