-- Deterministic ids in SQL, equal to every UUID library's version 5 (RFC 9562, section 5.5). Stock Postgres has no SHA-1
-- without an extension, so it stands here (RFC 3174); it names things and protects nothing.
CREATE OR REPLACE FUNCTION ledger.sha1(message bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    word constant bigint := 4294967295; -- 32 bits
    padded bytea;
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[];
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; x bigint;
    digest text := '';
BEGIN
    -- One bit, zeros up to 56 bytes of the last block, then the length in bits.
    padded := message || '\x80'::bytea
        || decode(repeat('00', (119 - length(message) % 64) % 64), 'hex')
        || int8send(length(message)::bigint * 8);
    FOR block IN 0 .. length(padded) / 64 - 1 LOOP
        FOR i IN 0 .. 15 LOOP
            w[i] := (get_byte(padded, block * 64 + i * 4)::bigint << 24) | (get_byte(padded, block * 64 + i * 4 + 1) << 16)
                  | (get_byte(padded, block * 64 + i * 4 + 2) << 8) | get_byte(padded, block * 64 + i * 4 + 3);
        END LOOP;
        FOR i IN 16 .. 79 LOOP
            x := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
            w[i] := ((x << 1) | (x >> 31)) & word;
        END LOOP;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        FOR i IN 0 .. 79 LOOP
            IF i < 20 THEN
                f := (b & c) | ((word # b) & d); k := 1518500249;
            ELSIF i < 40 THEN
                f := b # c # d; k := 1859775393;
            ELSIF i < 60 THEN
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            ELSE
                f := b # c # d; k := 3395469782;
            END IF;
            x := ((((a << 5) | (a >> 27)) & word) + f + e + k + w[i]) & word;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & word; b := a; a := x;
        END LOOP;
        h := ARRAY[(h[1] + a) & word, (h[2] + b) & word, (h[3] + c) & word, (h[4] + d) & word, (h[5] + e) & word];
    END LOOP;
    FOR i IN 1 .. 5 LOOP
        digest := digest || lpad(to_hex(h[i]), 8, '0');
    END LOOP;
    RETURN decode(digest, 'hex');
END $$;

-- The version 5 UUID of `name` (its UTF-8 bytes) in `namespace`.
CREATE OR REPLACE FUNCTION ledger.uuid_v5(namespace uuid, name text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    hash bytea := substring(ledger.sha1(uuid_send(namespace) || convert_to(name, 'UTF8')) FROM 1 FOR 16);
BEGIN
    hash := set_byte(hash, 6, (get_byte(hash, 6) & 15) | 80);  -- version 5
    hash := set_byte(hash, 8, (get_byte(hash, 8) & 63) | 128); -- variant of RFC 9562
    RETURN encode(hash, 'hex')::uuid;
END $$;
