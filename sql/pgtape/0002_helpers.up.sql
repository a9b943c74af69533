-- What the engines' migrations need: the publication and the roles.
--
-- A role that only replicates and reads cannot publish other people's tables, so the owner does it: `pgtape` is the
-- publication that the service reads by default, and each engine's migration adds its tables.

-- Adds tables to publication `pgtape`; those that are in it already stay as they are.
CREATE OR REPLACE FUNCTION pgtape.publish(VARIADIC tables regclass[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    publication pg_publication;
    wanted      regclass;
BEGIN
    SELECT * INTO publication FROM pg_publication WHERE pubname = 'pgtape';
    IF NOT FOUND THEN
        CREATE PUBLICATION pgtape WITH (publish_via_partition_root = true);
        SELECT * INTO publication FROM pg_publication WHERE pubname = 'pgtape';
    END IF;
    IF publication.puballtables THEN
        RETURN;
    END IF;
    FOREACH wanted IN ARRAY tables LOOP
        IF NOT EXISTS (SELECT FROM pg_publication_rel WHERE prpubid = publication.oid AND prrelid = wanted) THEN
            EXECUTE format('ALTER PUBLICATION pgtape ADD TABLE %s', wanted);
        END IF;
    END LOOP;
END $$;

-- Makes the role if it is not there. Roles belong to the cluster: two databases may do this at the same moment.
CREATE OR REPLACE FUNCTION pgtape.ensure_role(role name, attributes text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE ROLE %I %s', role, attributes);
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

SELECT pgtape.publish('pgtape.heartbeat');
