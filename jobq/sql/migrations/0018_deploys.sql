-- min_version: 13
-- The line above is part of every migration from this one on: the newest migration that a release must know to work with
-- the schema after it. It is kept with the migration, and a release that is older refuses to start.

ALTER TABLE {schema}.migrations ADD COLUMN min_version integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN {schema}.migrations.min_version IS 'The newest migration that a release must know to work after this one.';


DROP FUNCTION {schema}.place_held(jsonb);

-- One job, by the rules of its class. Raises JQ001 where a row is locked by somebody who came in between: enqueue_held
-- then begins again. Beside others it waits for no row, for theirs may be locked by now. So it looks before it adds: an
-- INSERT waits for a statement that is just deleting the holder, and that one may wait for a row which is locked here.
CREATE FUNCTION {schema}.place_held(item jsonb, may_wait boolean, OUT verdict text, OUT job {schema}.jobs)
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    mode CONSTANT text := item ->> 'on_held';
    span CONSTANT interval := (item ->> 'unique_for')::float8 * interval '1 second';
    bound CONSTANT interval := (item ->> 'debounce_limit')::float8 * interval '1 second';
    asked {schema}.jobs := jsonb_populate_record(NULL::{schema}.jobs, item);
    holder {schema}.jobs;
    is_throttled boolean;
BEGIN
    asked.enqueued_at := moment;
    asked.run_at := coalesce(asked.run_at, moment + coalesce((item ->> 'delay')::float8, 0) * interval '1 second');
    asked.run_at := least(asked.run_at, moment + bound);
    asked.expires_at := coalesce(asked.expires_at, moment + (item ->> 'expires_in')::float8 * interval '1 second');
    is_throttled := span IS NOT NULL AND EXISTS (
        SELECT FROM {schema}.throttles
        WHERE job_class = asked.job_class AND unique_key = asked.unique_key AND until > moment
    );
    LOOP
        SELECT * INTO holder FROM {schema}.jobs WHERE job_class = asked.job_class AND unique_key = asked.unique_key;
        IF NOT is_throttled AND (may_wait OR NOT FOUND) THEN
            job := {schema}.add_held(asked);
            IF job.id IS NOT NULL THEN
                PERFORM {schema}.throttle(asked.job_class, asked.unique_key, moment, span);
                verdict := 'enqueued';
                RETURN;
            END IF;
            SELECT * INTO holder FROM {schema}.jobs WHERE job_class = asked.job_class AND unique_key = asked.unique_key;
        END IF;
        IF holder.id IS NULL AND is_throttled THEN
            verdict := 'throttled';
            RETURN;
        END IF;
        CONTINUE WHEN holder.id IS NULL; -- it ended just now
        IF {schema}.changes_holder(holder.state, item) THEN
            SELECT * INTO holder FROM {schema}.jobs WHERE id = holder.id AND unique_key = asked.unique_key FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'the holder of a key has changed' USING ERRCODE = 'JQ001';
            END IF;
        END IF;
        EXIT WHEN holder.state <> 'running' OR item ->> 'unique_until' IS DISTINCT FROM 'started' OR is_throttled
            OR holder.follow_up IS NOT NULL;
        -- It has started, so its key is free from now on; also for its retries, should another hold it by then.
        UPDATE {schema}.jobs SET unique_key = NULL WHERE id = holder.id AND state = 'running';
    END LOOP;
    IF mode IN ('skip', 'return') OR (mode = 'replace' AND holder.state = 'running') THEN
        verdict := 'held';
        IF mode = 'return' THEN
            job := holder;
        END IF;
    ELSIF holder.state <> 'running' THEN
        asked.run_at := least(asked.run_at, holder.enqueued_at + bound);
        job := {schema}.replace_job(holder, asked);
        verdict := 'replaced';
    ELSE
        asked.enqueued_at := coalesce((holder.follow_up ->> 'enqueued_at')::timestamptz, moment);
        asked.run_at := least(asked.run_at, asked.enqueued_at + bound);
        UPDATE {schema}.jobs SET follow_up = to_jsonb(asked) WHERE id = holder.id;
        IF mode = 'newest' THEN
            PERFORM {schema}.supersede(holder);
        END IF;
        job := holder;
        verdict := 'followed';
    END IF;
END;
$function$;


-- Enqueues jobs whose classes have rules for a held key: a JSON array of rows of jobs, each with the rules, a delay and
-- a place. It acts for the owner, for it locks and changes the job that holds a key, which one who may only enqueue must
-- not do otherwise; so it tells of that job only where and when it runs, not what it holds.
-- Nobody waits for another crosswise. First the keys are locked, against others who enqueue; then the holders, in the order
-- of ids, as by the statements that end jobs; only then are rows added, in the order of keys. In between a key may have
-- been taken in another way, and its row be locked: waiting for that one now could close a circle, so everything that was
-- done here since the keys were locked is let go of, and done anew. The same where the server found a circle after all (two
-- statements that add the same keys cannot see each other), but not without end: a row that the caller's transaction had
-- locked before is not let go of here.
CREATE OR REPLACE FUNCTION {schema}.enqueue_held(jobs jsonb)
RETURNS TABLE (place integer, verdict text, job {schema}.jobs)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    items CONSTANT jsonb[] := ARRAY(
        SELECT item
        FROM jsonb_array_elements(enqueue_held.jobs) WITH ORDINALITY AS given (item, number)
        ORDER BY item ->> 'job_class' COLLATE "C", item ->> 'unique_key' COLLATE "C", number
    );
    item jsonb;
    holder bigint;
    places integer[];
    verdicts text[];
    placed {schema}.jobs[];
    answer record;
    -- Where the snapshot is older than the statement, a holder that is seen may have ended: only an INSERT knows.
    may_wait CONSTANT boolean := cardinality(items) = 1 OR current_setting('transaction_isolation') <> 'read committed';
    deadlocks integer := 0;
BEGIN
    PERFORM {schema}.lock_keys(items);
    LOOP
        places := '{}';
        verdicts := '{}';
        placed := '{}';
        item := items[1];
        BEGIN
            FOR holder IN
                SELECT held.id
                FROM unnest(items) AS given (item)
                CROSS JOIN LATERAL (
                    SELECT id, state
                    FROM {schema}.jobs
                    WHERE job_class = given.item ->> 'job_class' AND unique_key = given.item ->> 'unique_key'
                    OFFSET 0 -- each by the index of keys, however many jobs there are
                ) AS held
                WHERE {schema}.changes_holder(held.state, given.item)
                ORDER BY held.id
            LOOP
                PERFORM FROM {schema}.jobs WHERE id = holder FOR UPDATE;
            END LOOP;
            FOREACH item IN ARRAY items LOOP
                SELECT * INTO answer FROM {schema}.place_held(item, may_wait);
                places := array_append(places, (item ->> 'place')::integer);
                verdicts := array_append(verdicts, answer.verdict);
                placed := array_append(placed, answer.job);
            END LOOP;
            EXIT;
        EXCEPTION
            WHEN SQLSTATE 'JQ001' THEN
                NULL; -- and so once more
            WHEN deadlock_detected THEN
                deadlocks := deadlocks + 1;
                IF deadlocks = 3 THEN
                    RAISE;
                END IF;
                BEGIN -- waits for the key at which it stood, now that nothing is held, and lets go of that one too
                    PERFORM {schema}.place_held(item, true);
                    RAISE SQLSTATE 'JQ001';
                EXCEPTION WHEN SQLSTATE 'JQ001' THEN
                    NULL;
                END;
        END;
    END LOOP;
    FOR number IN 1 .. cardinality(places) LOOP
        place := places[number];
        verdict := verdicts[number];
        job := placed[number];
        IF verdict IN ('held', 'followed') THEN
            job.arguments := NULL;
            job.source := NULL;
            job.trace_context := NULL;
            job.follow_up := NULL;
            job.progress := NULL;
            job.cancel_requested_by := NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION {schema}.place_held IS 'Enqueues one job by the rules of its class for a key that is held.';

REVOKE ALL ON FUNCTION {schema}.place_held(jsonb, boolean) FROM PUBLIC;
