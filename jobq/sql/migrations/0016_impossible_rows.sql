-- Two things that workers have to know of a job: whether an attempt of it may have taken its worker down, and whether such
-- a job has begun. Both are null for nearly all jobs, so they cost these no byte. And what looks may read of a row that
-- somebody else wrote.

ALTER TABLE {schema}.jobs
    ADD COLUMN suspected boolean,
    ADD COLUMN begun_at timestamptz;

COMMENT ON COLUMN {schema}.jobs.suspected IS
    'An attempt was lost, or may have been: the job runs alone in its process, and its begin is committed first. Null: no.';
COMMENT ON COLUMN {schema}.jobs.begun_at IS 'While a suspected job runs: when its worker committed that it begins.';
COMMENT ON COLUMN {schema}.results.started_at IS 'When run() began; null where it never did, or nobody knows whether it did.';

CREATE OR REPLACE VIEW {schema}.numbered_jobs AS
SELECT *
FROM {schema}.jobs
WHERE id <= (SELECT last_value FROM {schema}.jobs_id_seq)
WITH CHECK OPTION;

COMMENT ON COLUMN {schema}.numbered_jobs.suspected IS 'As in jobs.';
COMMENT ON COLUMN {schema}.numbered_jobs.begun_at IS 'As in jobs.';

-- The size as text of stored JSON cannot be told from its size in the table: compression hides a factor of 250, and
-- 1e131071 takes 12 bytes stored and 131,072 as text. So the size is bounded in steps, the cheap ones first, and no step
-- makes a text of a gigabyte, which PostgreSQL refuses.
CREATE FUNCTION {schema}.bounded_text(stored jsonb, most bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    bytes bigint := pg_column_size(stored);
    found text;
BEGIN
    IF bytes > 2000 OR pg_column_compression(stored) IS NOT NULL THEN
        IF bytes > most THEN
            RETURN NULL;
        END IF;
        bytes := pg_column_size(stored || '{}');  -- the same, with the compression undone
        IF bytes > most OR bytes > least(most / 100, 65536) AND jsonb_path_exists(
            stored,
            'strict $.** ? (@.type() == "number" && @ != 0 && (@.abs() >= 1e1000 || @.abs() <= 1e-1000))'
        ) THEN
            RETURN NULL;
        END IF;
    END IF;
    found := stored::text;
    RETURN CASE WHEN octet_length(found) <= most THEN found END;
END;
$function$;

COMMENT ON FUNCTION {schema}.bounded_text IS 'Stored JSON as text; null where it has more than so many bytes, as text or as stored without compression.';

CREATE FUNCTION {schema}.readable(stored jsonb, most bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN stored IS NULL OR {schema}.bounded_text(stored, most) IS NOT NULL THEN stored
        ELSE jsonb_build_object('too large to show', format('%s bytes as stored', pg_column_size(stored)))
    END;
END;
$function$;

COMMENT ON FUNCTION {schema}.readable IS
    'Stored JSON as looks may read it: an object that says so where its text has more than so many bytes.';

-- A control character takes six bytes as text, and ten million of them a second to write: for a look that is too long. Of
-- arguments that large it is said only what their stored size proves.
CREATE FUNCTION {schema}.is_impossible(arguments jsonb, longest bigint) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE
        WHEN pg_column_size(arguments || '{}') > 10000000 THEN pg_column_size(arguments || '{}') > longest
        ELSE {schema}.bounded_text(arguments, longest) IS NULL
    END;
END;
$function$;

COMMENT ON FUNCTION {schema}.is_impossible IS 'Whether no worker can run a job: its arguments are too large to be read.';

REVOKE ALL ON FUNCTION
    {schema}.bounded_text(jsonb, bigint), {schema}.readable(jsonb, bigint), {schema}.is_impossible(jsonb, bigint)
FROM PUBLIC;
