-- auditor: counts how the passwords in public.auth_user.password are stored, and returns nothing but counts.
-- Run it as the table's owner (not as a superuser): the role `auditor` may then call it, and needs no right to the table.
-- auditor compares the function's source in the database with this text before it calls it.
-- Generated: python -c "from auditor.sources.postgres.password_kdf import function_definition as f; print(f('public', 'auth_user', 'password'))"

BEGIN;
CREATE SCHEMA IF NOT EXISTS "audit";
CREATE FUNCTION "audit"."password_kdf"() RETURNS pg_catalog.text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $function$
-- Counts the values of one password column by encoding, scheme and cost, as one JSON text.
-- No hash, salt or password leaves the database: only names from this file, parameters, lengths and counts.
-- Every function, operator, type and collation is named with its schema, and no string holds a backslash: neither
-- search_path nor standard_conforming_strings changes what this text means. Nothing is cast before a pattern has shown
-- that it can be: no stored value makes the statement fail.
WITH
-- What the name stands for. typcategory S are the character types, citext and domains over them included.
relation AS (
    SELECT n.nspname, c.relname, c.oid, c.relkind, c.relrowsecurity, c.relhassubclass,
           CASE WHEN h.nspname OPERATOR(pg_catalog.=) 'pg_catalog' THEN t.typname::pg_catalog.text
               ELSE h.nspname::pg_catalog.text OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) t.typname::pg_catalog.text
           END AS type,
           COALESCE(t.typcategory OPERATOR(pg_catalog.=) 'S', false) AS holds_text
    FROM pg_catalog.pg_type AS r
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.typrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) 'password'::pg_catalog.name
        AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
    LEFT JOIN pg_catalog.pg_namespace AS h ON h.oid OPERATOR(pg_catalog.=) t.typnamespace
    WHERE r.oid OPERATOR(pg_catalog.=) pg_catalog.pg_typeof(CAST(NULL AS "public"."auth_user"))::pg_catalog.oid
),
-- The column's name stands unqualified: `row.name` would call a function "name"(row) if the column were missing.
stored AS (
    SELECT "password"::pg_catalog.text COLLATE pg_catalog."C" AS value FROM "public"."auth_user"
),
-- How the text after a prefix is written. It is cut at each `$` into fields: `numbers` says which fields hold the cost
-- (its numbers in their order, letters between them being names), `salt` and `digest` which field is which; `ahead` is
-- the number of characters ahead of the digest in its field, `bits` what one character of the digest holds. Numbers
-- have no leading zero and at most nine digits. Base64 has a possible length and zero in its unused bits. In PostgreSQL
-- `$` matches only at the very end, never before a last newline. A session keeps 32 compiled patterns: more are slow.
formats (format, cost, numbers, salt, digest, ahead, bits, pattern) AS (VALUES
    ('unusable', NULL::pg_catalog.text[], NULL::pg_catalog.int4[], NULL::pg_catalog.int4, NULL::pg_catalog.int4, 0, 6,
        '^([A-Za-z0-9]{40})?$'::pg_catalog.text),
    ('pbkdf2 base64', ARRAY['iterations'], ARRAY[1], 2, 3, 0, 6,
        '^[1-9][0-9]{0,8}[$][!-#%-~]*'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$'),
    ('pbkdf2 ab64', ARRAY['iterations'], ARRAY[1], 2, 3, 0, 6,
        '^[1-9][0-9]{0,8}[$]([A-Za-z0-9./]{4})*([A-Za-z0-9./][AQgw]|[A-Za-z0-9./]{2}[AEIMQUYcgkosw048])?'
        '[$]([A-Za-z0-9./]{4})*([A-Za-z0-9./][AQgw]|[A-Za-z0-9./]{2}[AEIMQUYcgkosw048])?$'),
    ('pbkdf2 hex', ARRAY['iterations'], ARRAY[1], 2, 3, 0, 4, '^[1-9][0-9]{0,8}[$][!-#%-~]*[$]([0-9a-f]{2})+$'),
    ('argon2', ARRAY['memory_kib', 'iterations', 'parallelism'], ARRAY[1], 2, 3, 0, 6,
        '^[1-9][0-9]{0,8},t=[1-9][0-9]{0,8},p=[1-9][0-9]{0,8}'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?$'),
    ('scrypt django', ARRAY['n', 'r', 'p'], ARRAY[1, 3, 4], 2, 5, 0, 6,
        '^[1-9][0-9]{0,8}[$][!-#%-~]*[$][1-9][0-9]{0,8}[$][1-9][0-9]{0,8}'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$'),
    ('scrypt hex', ARRAY['n', 'r', 'p'], ARRAY[1], 2, 3, 0, 4,
        '^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}:[1-9][0-9]{0,8}[$][!-#%-~]*[$]([0-9a-f]{2})+$'),
    ('scrypt log2', ARRAY['n', 'r', 'p'], ARRAY[1], 2, 3, 0, 6,
        '^([1-9]|[12][0-9]|3[01]),r=[1-9][0-9]{0,8},p=[1-9][0-9]{0,8}'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?'
        '[$]([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?$'),
    ('bcrypt', ARRAY['log2_rounds'], ARRAY[1], 2, 2, 22, 6, '^(0[4-9]|[12][0-9]|3[01])[$][A-Za-z0-9./]{53}$'),
    ('bcrypt passlib', ARRAY['log2_rounds'], ARRAY[1], 2, 3, 0, 6,
        '^([4-9]|[12][0-9]|3[01])[$][A-Za-z0-9./]{22}[$][A-Za-z0-9./]{31}$'),
    ('sha256 crypt', ARRAY['iterations'], ARRAY[1], 2, 3, 0, 6,
        '^[1-9][0-9]{3,8}[$][A-Za-z0-9./]{0,16}[$][A-Za-z0-9./]{43}$'),
    ('sha512 crypt', ARRAY['iterations'], ARRAY[1], 2, 3, 0, 6,
        '^[1-9][0-9]{3,8}[$][A-Za-z0-9./]{0,16}[$][A-Za-z0-9./]{86}$'),
    ('sha256 crypt 5000', ARRAY['iterations'], NULL, 1, 2, 0, 6, '^[A-Za-z0-9./]{0,16}[$][A-Za-z0-9./]{43}$'),
    ('sha512 crypt 5000', ARRAY['iterations'], NULL, 1, 2, 0, 6, '^[A-Za-z0-9./]{0,16}[$][A-Za-z0-9./]{86}$'),
    ('md5 crypt', NULL, NULL, 1, 2, 0, 6, '^[A-Za-z0-9./]{0,8}[$][A-Za-z0-9./]{22}$'),
    ('phpass', ARRAY['log2_rounds'], NULL, 1, 1, 9, 6, '^[5-9A-S][A-Za-z0-9./]{30}$'),
    ('salted md5', NULL, NULL, 1, 2, 0, 4, '^[!-#%-~]*[$][0-9a-f]{32}$'),
    ('salted sha1', NULL, NULL, 1, 2, 0, 4, '^[!-#%-~]*[$][0-9a-f]{40}$'),
    ('md5', NULL, NULL, NULL, 1, 0, 4, '^([0-9a-f]{32}|[0-9A-F]{32})$'),
    ('sha1', NULL, NULL, NULL, 1, 0, 4, '^([0-9a-f]{40}|[0-9A-F]{40})$'),
    ('sha256', NULL, NULL, NULL, 1, 0, 4, '^([0-9a-f]{64}|[0-9A-F]{64})$')
),
-- No value fits two of these. `$2x$` is left out: it marks hashes of a broken bcrypt. Argon2 only in version 19.
schemes (encoding, scheme, prefix, format) AS (VALUES
    ('django', 'unusable', '!', 'unusable'),
    ('django', 'pbkdf2_sha256', 'pbkdf2_sha256$', 'pbkdf2 base64'),
    ('django', 'pbkdf2_sha1', 'pbkdf2_sha1$', 'pbkdf2 base64'),
    ('django', 'argon2id', 'argon2$argon2id$v=19$m=', 'argon2'),
    ('django', 'argon2i', 'argon2$argon2i$v=19$m=', 'argon2'),
    ('django', 'argon2d', 'argon2$argon2d$v=19$m=', 'argon2'),
    ('django', 'bcrypt_sha256', 'bcrypt_sha256$$2a$', 'bcrypt'),
    ('django', 'bcrypt_sha256', 'bcrypt_sha256$$2b$', 'bcrypt'),
    ('django', 'bcrypt_sha256', 'bcrypt_sha256$$2y$', 'bcrypt'),
    ('django', 'bcrypt', 'bcrypt$$2a$', 'bcrypt'),
    ('django', 'bcrypt', 'bcrypt$$2b$', 'bcrypt'),
    ('django', 'bcrypt', 'bcrypt$$2y$', 'bcrypt'),
    ('django', 'scrypt', 'scrypt$', 'scrypt django'),
    ('django', 'django_md5', 'md5$', 'salted md5'),
    ('django', 'django_sha1', 'sha1$', 'salted sha1'),
    ('phc', 'argon2id', '$argon2id$v=19$m=', 'argon2'),
    ('phc', 'argon2i', '$argon2i$v=19$m=', 'argon2'),
    ('phc', 'argon2d', '$argon2d$v=19$m=', 'argon2'),
    ('passlib', 'pbkdf2_sha1', '$pbkdf2$', 'pbkdf2 ab64'),
    ('passlib', 'pbkdf2_sha256', '$pbkdf2-sha256$', 'pbkdf2 ab64'),
    ('passlib', 'pbkdf2_sha512', '$pbkdf2-sha512$', 'pbkdf2 ab64'),
    ('passlib', 'scrypt', '$scrypt$ln=', 'scrypt log2'),
    ('passlib', 'bcrypt_sha256', '$bcrypt-sha256$v=2,t=2a,r=', 'bcrypt passlib'),
    ('passlib', 'bcrypt_sha256', '$bcrypt-sha256$v=2,t=2b,r=', 'bcrypt passlib'),
    ('passlib', 'bcrypt_sha256', '$bcrypt-sha256$2a,', 'bcrypt passlib'),
    ('passlib', 'bcrypt_sha256', '$bcrypt-sha256$2b,', 'bcrypt passlib'),
    ('ldap', 'pbkdf2_sha1', '{PBKDF2}', 'pbkdf2 ab64'),
    ('ldap', 'pbkdf2_sha256', '{PBKDF2-SHA256}', 'pbkdf2 ab64'),
    ('ldap', 'pbkdf2_sha512', '{PBKDF2-SHA512}', 'pbkdf2 ab64'),
    ('werkzeug', 'pbkdf2_sha1', 'pbkdf2:sha1:', 'pbkdf2 hex'),
    ('werkzeug', 'pbkdf2_sha256', 'pbkdf2:sha256:', 'pbkdf2 hex'),
    ('werkzeug', 'pbkdf2_sha512', 'pbkdf2:sha512:', 'pbkdf2 hex'),
    ('werkzeug', 'scrypt', 'scrypt:', 'scrypt hex'),
    ('crypt', 'bcrypt', '$2a$', 'bcrypt'),
    ('crypt', 'bcrypt', '$2b$', 'bcrypt'),
    ('crypt', 'bcrypt', '$2y$', 'bcrypt'),
    ('crypt', 'sha256_crypt', '$5$rounds=', 'sha256 crypt'),
    ('crypt', 'sha256_crypt', '$5$', 'sha256 crypt 5000'),
    ('crypt', 'sha512_crypt', '$6$rounds=', 'sha512 crypt'),
    ('crypt', 'sha512_crypt', '$6$', 'sha512 crypt 5000'),
    ('crypt', 'md5_crypt', '$1$', 'md5 crypt'),
    ('crypt', 'phpass', '$P$', 'phpass'),
    ('crypt', 'phpass', '$H$', 'phpass'),
    ('hex', 'md5_hex', '', 'md5'),
    ('hex', 'sha1_hex', '', 'sha1'),
    ('hex', 'sha256_hex', '', 'sha256')
),
rules AS MATERIALIZED (
    SELECT s.encoding, s.scheme, s.prefix, pg_catalog.length(s.prefix) OPERATOR(pg_catalog.+) 1 AS start, f.*
    FROM schemes AS s JOIN formats AS f ON f.format OPERATOR(pg_catalog.=) s.format
),
-- A value longer than any hash is not looked into. The prefix goes first because a pattern costs more.
-- OFFSET 0, here and below, changes no row: without it the planner writes an expression out at every use.
matched AS (
    SELECT s.value, m.*, pg_catalog.string_to_array(pg_catalog.substr(s.value, m.start), '$') AS field
    FROM stored AS s
    LEFT JOIN LATERAL (
        SELECT r.*
        FROM (
            SELECT CASE WHEN pg_catalog.octet_length(s.value) OPERATOR(pg_catalog.<=) 1024 THEN s.value END
        ) AS short (value)
        JOIN rules AS r
            ON pg_catalog.starts_with(short.value, r.prefix)
            AND pg_catalog.substr(short.value, r.start) OPERATOR(pg_catalog.~) r.pattern
        LIMIT 1
    ) AS m ON true
    OFFSET 0
),
-- The numbers of the cost, parted by commas, as they are written: `102400,t=2,p=8` and `32768:8:1` lose all but those.
priced AS (
    SELECT m.*, pg_catalog.string_to_array(pg_catalog.translate(
        CASE WHEN pg_catalog.cardinality(numbers) OPERATOR(pg_catalog.=) 1 THEN field[numbers[1]]
            ELSE pg_catalog.concat_ws(',', field[numbers[1]], field[numbers[2]], field[numbers[3]]) END,
        ':=trp', ','), ',') AS written
    FROM matched AS m
    OFFSET 0
),
measured AS (
    SELECT value, encoding, scheme, cost AS cost_names,
           CASE
               WHEN cost IS NULL THEN NULL
               WHEN format OPERATOR(pg_catalog.=) 'phpass' THEN ARRAY[
                   pg_catalog.strpos('./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', pg_catalog.substr(field[1], 1, 1))
                   OPERATOR(pg_catalog.-) 1::pg_catalog.int8]
               WHEN format OPERATOR(pg_catalog.=) 'scrypt log2' THEN ARRAY[
                   1::pg_catalog.int8 OPERATOR(pg_catalog.<<) written[1]::pg_catalog.int4,
                   written[2]::pg_catalog.int8, written[3]::pg_catalog.int8]
               -- What crypt(3) does where a hash names no rounds.
               WHEN numbers IS NULL THEN ARRAY[5000::pg_catalog.int8]
               ELSE written::pg_catalog.int8[]
           END AS cost,
           CASE WHEN scheme OPERATOR(pg_catalog.<>) 'unusable' THEN COALESCE(pg_catalog.length(field[salt]), 0) END
               AS salt_characters,
           (pg_catalog.length(pg_catalog.rtrim(field[digest], '=')) OPERATOR(pg_catalog.-) ahead)
               OPERATOR(pg_catalog.*) bits OPERATOR(pg_catalog./) 8 OPERATOR(pg_catalog.*) 8 AS digest_bits
    FROM priced
    OFFSET 0
),
-- What no library would verify is no hash, however well it is written: RFC 7914 section 2, RFC 9106 section 3.1.
judged AS (
    SELECT m.*, r.holds_text, r.holds_text AND m.scheme IS NOT NULL
        AND COALESCE(m.digest_bits OPERATOR(pg_catalog.>) 0, true)
        AND CASE
            WHEN m.cost_names[1] OPERATOR(pg_catalog.=) 'n' THEN
                m.cost[1] OPERATOR(pg_catalog.>) 1
                AND (m.cost[1] OPERATOR(pg_catalog.&) (m.cost[1] OPERATOR(pg_catalog.-) 1)) OPERATOR(pg_catalog.=) 0
                AND (m.cost[1] OPERATOR(pg_catalog.<) 65536 OR m.cost[2] OPERATOR(pg_catalog.>) 1)
                AND (m.cost[2] OPERATOR(pg_catalog.*) m.cost[3]) OPERATOR(pg_catalog.<) 1073741824
            WHEN m.cost_names[1] OPERATOR(pg_catalog.=) 'memory_kib' THEN
                m.cost[1] OPERATOR(pg_catalog.>=) (m.cost[3] OPERATOR(pg_catalog.*) 8)
                AND m.cost[3] OPERATOR(pg_catalog.<) 16777216
                AND m.salt_characters OPERATOR(pg_catalog.>=) 11
                AND m.digest_bits OPERATOR(pg_catalog.>=) 32
            ELSE true
        END AS recognised
    FROM measured AS m CROSS JOIN relation AS r
    OFFSET 0
),
counted AS (
    SELECT CASE WHEN recognised THEN encoding ELSE 'none' END AS encoding,
           CASE
               WHEN value IS NULL THEN 'null'
               WHEN recognised THEN scheme
               WHEN holds_text AND value OPERATOR(pg_catalog.=) '' THEN 'empty'
               ELSE 'unrecognised'
           END AS scheme,
           CASE WHEN recognised THEN cost_names END AS cost_names,
           CASE WHEN recognised THEN cost END AS cost,
           CASE WHEN recognised THEN digest_bits END AS digest_bits,
           CASE WHEN recognised THEN salt_characters OPERATOR(pg_catalog.>) 0 END AS salt,
           pg_catalog.count(*) AS users
    FROM judged
    GROUP BY 1, 2, 3, 4, 5, 6
)
-- The total does not go through the classification; one statement sees one snapshot, so the two must agree.
SELECT pg_catalog.json_build_object(
    'schema', r.nspname,
    'table', r.relname,
    'column', 'password'::pg_catalog.text,
    'type', r.type,
    'kind', r.relkind,
    'children', r.relhassubclass,
    'rls', r.relrowsecurity,
    'rls_active', pg_catalog.row_security_active(r.oid),
    'total', (SELECT pg_catalog.count(*) FROM "public"."auth_user"),
    'groups', COALESCE((
        SELECT pg_catalog.json_agg(
            pg_catalog.json_build_object(
                'encoding', c.encoding,
                'scheme', c.scheme,
                'cost', (
                    SELECT pg_catalog.json_object_agg(n.name, n.number ORDER BY n.place)
                    FROM ROWS FROM (pg_catalog.unnest(c.cost_names), pg_catalog.unnest(c.cost))
                        WITH ORDINALITY AS n (name, number, place)
                ),
                'digest_bits', c.digest_bits,
                'salt', c.salt,
                'users', c.users
            )
            ORDER BY c.encoding COLLATE pg_catalog."C", c.scheme COLLATE pg_catalog."C",
                c.cost NULLS FIRST, c.digest_bits NULLS FIRST, c.salt NULLS FIRST
        )
        FROM counted AS c
    ), '[]'::pg_catalog.json)
)::pg_catalog.text
FROM relation AS r
$function$;
REVOKE ALL ON FUNCTION "audit"."password_kdf"() FROM PUBLIC;
GRANT USAGE ON SCHEMA "audit" TO "auditor";
GRANT EXECUTE ON FUNCTION "audit"."password_kdf"() TO "auditor";
COMMIT;
