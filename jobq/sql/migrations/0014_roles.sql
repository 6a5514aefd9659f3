-- Each role can do what its line in docs/roles.md says, and nothing else. What a role needs and must not do freely, views
-- and functions do with the rights of their owner: they enqueue without a choice of the id, and write the audit.


-- Jobs as they are enqueued. An INSERT here is one into `jobs`, with the owner's rights. Nobody is granted the column `id`
-- to write, so the sequence chooses it: an id of the future would refuse the jobs that draw it. And nothing can be read
-- here but what an INSERT of one's own returns. For a prepared statement the view costs nothing (measured).
CREATE VIEW {schema}.new_jobs AS
SELECT
    id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, state, timeout,
    expires_at, has_abort_hook, enqueued_at
FROM {schema}.jobs
WHERE false;

COMMENT ON VIEW {schema}.new_jobs IS 'Where jobs are enqueued one by one; it shows none.';

-- Jobs that keep an id, or get one that was drawn before: those of schedules, and what operators queue again or take back.
-- The check refuses an id that the sequence has not drawn yet. It reads the sequence with the owner's rights.
CREATE VIEW {schema}.numbered_jobs AS
SELECT *
FROM {schema}.jobs
WHERE id <= (SELECT last_value FROM {schema}.jobs_id_seq)
WITH CHECK OPTION;

COMMENT ON VIEW {schema}.numbered_jobs IS 'Jobs with an id that was drawn before. It has every column of jobs.';

DO $do$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT attrelid::regclass AS view, attname
        FROM pg_attribute
        WHERE attnum > 0
            AND attrelid IN (
                SELECT format('%I.%I', {schema_name}, name)::regclass
                FROM unnest(ARRAY['new_jobs', 'numbered_jobs']) AS name
            )
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', named.view, named.attname, 'As in jobs.');
    END LOOP;
END;
$do$;

-- Many jobs at once. A row whose unique key is held (in the table, or by an earlier row of the same call) is left out,
-- never the whole call. Ids are drawn in the order given, which is the order of service; rows go in by the order of their
-- keys. So two calls that meet wait for each other one way only, and neither falls to a deadlock.
CREATE FUNCTION {schema}.enqueue_many(
    job_classes text[], arguments text[], queues text[], priorities smallint[], retries integer[], unique_keys text[],
    sources text[], trace_contexts text[], run_ats timestamptz[], delays float8[], timeouts real[],
    expires_ats timestamptz[], expires_ins float8[], abort_hooks boolean[]
) RETURNS TABLE (
    place bigint, id bigint, state text, enqueued_at timestamptz, run_at timestamptz, expires_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on -- whatever the session has: the join of thousands is else one of each with each
AS $function$
#variable_conflict use_column
DECLARE
    ids CONSTANT regclass := pg_get_serial_sequence(format('%I.jobs', {schema_name}), 'id');
    moment CONSTANT timestamptz := statement_timestamp();
    touched text[];
BEGIN
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT nextval(ids) AS id, row.*
        FROM unnest(
            enqueue_many.job_classes, enqueue_many.arguments, enqueue_many.queues, enqueue_many.priorities,
            enqueue_many.retries, enqueue_many.unique_keys, enqueue_many.sources, enqueue_many.trace_contexts,
            enqueue_many.run_ats, enqueue_many.delays, enqueue_many.timeouts, enqueue_many.expires_ats,
            enqueue_many.expires_ins, enqueue_many.abort_hooks
        ) WITH ORDINALITY AS row (
            job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, delay,
            timeout, expires_at, expires_in, has_abort_hook, place
        )
    ), due AS (
        SELECT
            *, coalesce(given.run_at, moment + given.delay * interval '1 second') AS due_at,
            coalesce(given.expires_at, moment + given.expires_in * interval '1 second') AS ends_at
        FROM given
    ), added AS (
        INSERT INTO {schema}.jobs AS job
            (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, state,
             timeout, expires_at, has_abort_hook)
        SELECT
            id, job_class, arguments::jsonb, queue, priority, retries, unique_key, source, trace_context::jsonb, due_at,
            CASE WHEN due_at > moment THEN 'scheduled' ELSE 'pending' END, timeout, ends_at, has_abort_hook
        FROM due
        ORDER BY
            CASE WHEN unique_key IS NOT NULL THEN job_class END COLLATE "C" NULLS FIRST,
            unique_key COLLATE "C" NULLS FIRST, id
        ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING job.id, job.state, job.enqueued_at, job.run_at, job.expires_at
    )
    SELECT given.place, added.id, added.state, added.enqueued_at, added.run_at, added.expires_at
    FROM added
    JOIN given USING (id);
    SELECT array_agg(DISTINCT queue) INTO touched FROM unnest(enqueue_many.queues) AS given (queue);
    PERFORM {schema}.wake(queue) FROM unnest(touched) AS given (queue);
END;
$function$;

COMMENT ON FUNCTION {schema}.enqueue_many IS 'Adds many jobs; returns those that were added, by their places.';

-- The way to enqueue_held() for everybody: the ids are drawn here, in the order given, whatever the rows say.
CREATE FUNCTION {schema}.enqueue_by_rules(jobs jsonb)
RETURNS TABLE (place integer, verdict text, job {schema}.jobs)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    ids CONSTANT regclass := pg_get_serial_sequence(format('%I.jobs', {schema_name}), 'id');
    numbered jsonb;
BEGIN
    SELECT jsonb_agg(drawn.item ORDER BY drawn.number) INTO numbered
    FROM (
        SELECT given.item || jsonb_build_object('id', nextval(ids)) AS item, given.number
        FROM jsonb_array_elements(enqueue_by_rules.jobs) WITH ORDINALITY AS given (item, number)
        OFFSET 0
    ) AS drawn;
    RETURN QUERY SELECT held.place, held.verdict, held.job FROM {schema}.enqueue_held(numbered) AS held;
END;
$function$;

COMMENT ON FUNCTION {schema}.enqueue_by_rules IS
    'Enqueues jobs by the rules of their classes for keys that are held, each under an id that is drawn for it.';

-- The rest of enqueueing acts for the owner, too. A follow-up enters the table whoever ends the job before it.
ALTER FUNCTION {schema}.enqueue SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION {schema}.follow() SECURITY DEFINER;
ALTER FUNCTION {schema}.follow_jobs(bigint[]) SECURITY DEFINER;


-- The audit is written here alone. The id, the times and the role are the database's own; the person is what the program
-- said, for the database does not know more. A row changes in two ways, both forward: what a further transaction of the
-- act did is added to it, and it is marked as undone, once.
COMMENT ON COLUMN {schema}.audit.who IS 'Who acted, as the program says: user@host, or whom a web application named. A claim.';
COMMENT ON COLUMN {schema}.audit.database_user IS 'The role that logged in, as the database knows. Certain.';

CREATE FUNCTION {schema}.begin_act(who text, verb text, selection text, undoes bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    begun bigint;
BEGIN
    IF begin_act.undoes IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.audit WHERE id = begin_act.undoes) THEN
        RAISE EXCEPTION 'there is no act % to undo', begin_act.undoes USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO {schema}.audit (who, verb, selection, undoes)
    VALUES (begin_act.who, begin_act.verb, begin_act.selection, begin_act.undoes)
    RETURNING id INTO begun;
    RETURN begun;
END;
$function$;

COMMENT ON FUNCTION {schema}.begin_act IS 'Adds the row of an act to the audit.';

-- Of the jobs, the first 20 are named. An act of many transactions is noted in each of them, so nothing tells its last one;
-- an hour after the one before, or for another role, it is over.
CREATE FUNCTION {schema}.note_act(act bigint, affected integer, ids bigint[], names text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    UPDATE {schema}.audit
    SET ended_at = greatest(ended_at, statement_timestamp()),
        affected = audit.affected + greatest(note_act.affected, 0),
        ids = (audit.ids || note_act.ids)[1:20],
        names = audit.names || note_act.names
    WHERE id = note_act.act
        AND database_user = session_user
        AND ended_at > statement_timestamp() - interval '1 hour';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'act % is over, or not of role %', note_act.act, session_user USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END;
$function$;

COMMENT ON FUNCTION {schema}.note_act IS 'Adds to an act of the same role what one of its transactions did.';

CREATE FUNCTION {schema}.mark_undone(act bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    UPDATE {schema}.audit
    SET undone_at = statement_timestamp()
    WHERE id = mark_undone.act
        AND undone_at IS NULL
        AND EXISTS (
            SELECT FROM {schema}.audit AS later
            WHERE later.id > mark_undone.act
                AND later.undoes = mark_undone.act
                AND later.affected > 0
                AND later.database_user = session_user
        )
$function$;

COMMENT ON FUNCTION {schema}.mark_undone IS 'Marks an act as undone, once, where an act of the same role has undone it.';


-- PUBLIC may call no function. `jobq migrate --grants` prints which roles may.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;
