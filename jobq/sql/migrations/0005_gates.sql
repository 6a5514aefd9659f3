-- Gates: how many jobs of some classes run at once, how fast they start, and whose turn it is, over the whole fleet.
-- min_version: 1

-- Jobs without a gate pay nothing for those with one. Their three new columns are null, which takes no byte of the row, and
-- no entry of an index is theirs. A job that is due at a gate has no answer to `is_due`: so it lies neither in the index of
-- due jobs, which ordinary claims walk, nor in that of the scheduled ones.

CREATE DOMAIN {schema}.job_lane AS text CONSTRAINT is_of_1000_bytes CHECK (octet_length(VALUE) <= 1000);
CREATE DOMAIN {schema}.job_gate AS text CONSTRAINT is_of_1_to_400_bytes CHECK (VALUE <> '' AND octet_length(VALUE) <= 400);
COMMENT ON DOMAIN {schema}.job_lane IS 'A lane of a gate; empty where the gate has no lanes.';
COMMENT ON DOMAIN {schema}.job_gate IS 'The name of a gate.';

-- `state` is made anew for its new value. Until then the view says it by itself: to drop a view would drop its grants.
CREATE OR REPLACE VIEW {schema}.new_jobs AS
SELECT
    id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, is_due, timeout,
    expires_at, has_abort_hook, enqueued_at,
    CASE WHEN worker_id IS NOT NULL THEN 'running' WHEN is_due THEN 'pending' ELSE 'scheduled' END AS state
FROM {schema}.jobs
WHERE false;

ALTER TABLE {schema}.jobs DROP COLUMN state;
ALTER TABLE {schema}.jobs
    ALTER COLUMN is_due DROP NOT NULL,
    ADD COLUMN gate {schema}.job_gate,
    ADD COLUMN lane {schema}.job_lane,
    ADD COLUMN place bigint,
    ADD COLUMN state text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN worker_id IS NOT NULL THEN 'running'
            WHEN is_due THEN 'pending'
            WHEN is_due IS NULL THEN 'gated'
            ELSE 'scheduled'
        END
    ) STORED;

CREATE OR REPLACE VIEW {schema}.new_jobs AS
SELECT
    id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, is_due, timeout,
    expires_at, has_abort_hook, enqueued_at, state, gate, lane
FROM {schema}.jobs
WHERE false;

CREATE OR REPLACE VIEW {schema}.numbered_jobs AS
SELECT
    id, enqueued_at, run_at, retries, excused, losses, priority, is_due, has_abort_hook, queue, job_class, arguments, source,
    trace_context, unique_key, timeout, expires_at, cancel_requested_at, cancel_requested_by, progress, follow_up,
    replaced_at, suspected, begun_at, attempt, worker_id, started_at, gate, lane, place
FROM {schema}.jobs
WHERE id <= (SELECT last_value FROM {schema}.jobs_id_seq)
WITH CHECK OPTION;

COMMENT ON COLUMN {schema}.jobs.is_due IS
    'Its time has come: it is pending, or running. Null: its time has come, and it waits at its gate or has passed it.';
COMMENT ON COLUMN {schema}.jobs.state IS
    'scheduled: its time has not come; pending: may be claimed; gated: waits at its gate; running. For readers: follows from is_due and worker_id.';
COMMENT ON COLUMN {schema}.jobs.gate IS 'The gate that its attempts go through; null: none.';
COMMENT ON COLUMN {schema}.jobs.lane IS 'Its lane of that gate.';
COMMENT ON COLUMN {schema}.jobs.place IS
    'While it runs: its place at the gate, in the order of the claims. In a strict lane it keeps it between its attempts.';
COMMENT ON COLUMN {schema}.new_jobs.gate IS 'As in jobs.';
COMMENT ON COLUMN {schema}.new_jobs.lane IS 'As in jobs.';
COMMENT ON COLUMN {schema}.numbered_jobs.gate IS 'As in jobs.';
COMMENT ON COLUMN {schema}.numbered_jobs.lane IS 'As in jobs.';
COMMENT ON COLUMN {schema}.numbered_jobs.place IS 'As in jobs.';

-- The one index of gated jobs, in two halves. With a place: what runs, and what keeps its strict lane between attempts; that
-- is what a claim counts. Without: what waits, lane by lane, so that a claim reaches the next lane by one step.
-- A claim through a gate gives a place, and so writes an entry here. Ordinary claims change nothing that it mentions.
CREATE INDEX jobs_gated ON {schema}.jobs (gate, place, queue, (-priority), lane, id) WHERE is_due IS NULL OR place IS NOT NULL;

-- Without a cache, and drawn while the gate's row is locked: places of a gate rise in the order of its claims.
CREATE SEQUENCE {schema}.places;
COMMENT ON SEQUENCE {schema}.places IS 'The places of jobs that run through gates.';

ALTER TABLE {schema}.results ADD COLUMN gate text, ADD COLUMN lane text;
COMMENT ON COLUMN {schema}.results.gate IS 'The gate that the attempt went through; null: none.';
COMMENT ON COLUMN {schema}.results.lane IS 'Its lane of that gate.';

ALTER TABLE {schema}.schedules ADD COLUMN gate {schema}.job_gate, ADD COLUMN lane {schema}.job_lane;
COMMENT ON COLUMN {schema}.schedules.gate IS 'The gate of its jobs.';
COMMENT ON COLUMN {schema}.schedules.lane IS 'Their lane of that gate.';

CREATE TABLE {schema}.gates (
    name text PRIMARY KEY CHECK (name <> '' AND octet_length(name) <= 400),
    max_running integer CHECK (max_running >= 0),
    lane_max_running integer CHECK (lane_max_running >= 0),
    rate integer CHECK (rate > 0),
    rate_seconds float8 CHECK (rate_seconds > 0),
    rate_burst integer CHECK (rate_burst BETWEEN 1 AND rate),
    lane_rate integer CHECK (lane_rate > 0),
    lane_rate_seconds float8 CHECK (lane_rate_seconds > 0),
    lane_rate_burst integer CHECK (lane_rate_burst BETWEEN 1 AND lane_rate),
    lane_parameter text,
    is_strict boolean NOT NULL DEFAULT false,
    loss_wait_seconds float8 CHECK (loss_wait_seconds >= 0),
    declared_by bigint NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    set_max_running integer CHECK (set_max_running >= 0),
    set_at timestamptz,
    set_until timestamptz,
    set_by text,
    set_reason text,
    paused_at timestamptz,
    paused_until timestamptz,
    paused_by text,
    pause_reason text,
    spent_to timestamptz,
    CHECK ((rate IS NULL) = (rate_seconds IS NULL) AND (rate IS NULL) = (rate_burst IS NULL)),
    CHECK ((lane_rate IS NULL) = (lane_rate_seconds IS NULL) AND (lane_rate IS NULL) = (lane_rate_burst IS NULL))
) WITH (fillfactor = 50);

COMMENT ON TABLE {schema}.gates IS 'One row a gate that the code of some worker declared. A claim through a gate locks its row.';
COMMENT ON COLUMN {schema}.gates.name IS 'The gate.';
COMMENT ON COLUMN {schema}.gates.max_running IS 'How many attempts run at once, as declared; null: without limit.';
COMMENT ON COLUMN {schema}.gates.lane_max_running IS 'The same for each lane.';
COMMENT ON COLUMN {schema}.gates.rate IS 'How many attempts start in any rate_seconds; null: without limit.';
COMMENT ON COLUMN {schema}.gates.rate_seconds IS 'The length of that window.';
COMMENT ON COLUMN {schema}.gates.rate_burst IS 'How many of them start at once at most.';
COMMENT ON COLUMN {schema}.gates.lane_rate IS 'As rate, for each lane.';
COMMENT ON COLUMN {schema}.gates.lane_rate_seconds IS 'The length of that window.';
COMMENT ON COLUMN {schema}.gates.lane_rate_burst IS 'How many of them start at once at most.';
COMMENT ON COLUMN {schema}.gates.lane_parameter IS 'The parameter of a job that names its lane; null: there are no lanes, or code tells them.';
COMMENT ON COLUMN {schema}.gates.is_strict IS 'The next job of a lane begins only when the one before has ended for good.';
COMMENT ON COLUMN {schema}.gates.loss_wait_seconds IS 'How long after its worker was declared dead a lost attempt keeps its place; null: no time.';
COMMENT ON COLUMN {schema}.gates.declared_by IS 'The worker whose declaration counts: the youngest that declares this gate.';
COMMENT ON COLUMN {schema}.gates.declared_at IS 'When it last changed.';
COMMENT ON COLUMN {schema}.gates.set_max_running IS 'An operator''s limit, which stands above the declared one; null: none is set.';
COMMENT ON COLUMN {schema}.gates.set_at IS 'When it was set.';
COMMENT ON COLUMN {schema}.gates.set_until IS 'Until when it counts; null: until it is taken back.';
COMMENT ON COLUMN {schema}.gates.set_by IS 'Who set it.';
COMMENT ON COLUMN {schema}.gates.set_reason IS 'Why, in the words of who set it.';
COMMENT ON COLUMN {schema}.gates.paused_at IS 'Since when nothing starts; null: it is open.';
COMMENT ON COLUMN {schema}.gates.paused_until IS 'Until when; null: until it is resumed.';
COMMENT ON COLUMN {schema}.gates.paused_by IS 'Who paused it.';
COMMENT ON COLUMN {schema}.gates.pause_reason IS 'Why, in the words of who paused it.';
COMMENT ON COLUMN {schema}.gates.spent_to IS 'The rate: up to when the starts so far use it up (GCRA). Null: no start yet.';

CREATE TABLE {schema}.lanes (
    gate text NOT NULL,
    lane {schema}.job_lane NOT NULL,
    set_max_running integer CHECK (set_max_running >= 0),
    set_at timestamptz,
    set_until timestamptz,
    set_by text,
    set_reason text,
    paused_at timestamptz,
    paused_until timestamptz,
    paused_by text,
    pause_reason text,
    spent_to timestamptz,
    PRIMARY KEY (gate, lane)
) WITH (fillfactor = 50);

COMMENT ON TABLE {schema}.lanes IS 'Only lanes that have a rate, or on which an operator has set something; a lane needs no row.';
COMMENT ON COLUMN {schema}.lanes.gate IS 'The gate.';
COMMENT ON COLUMN {schema}.lanes.lane IS 'The lane.';
COMMENT ON COLUMN {schema}.lanes.set_max_running IS 'As in gates, for this lane.';
COMMENT ON COLUMN {schema}.lanes.set_at IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.set_until IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.set_by IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.set_reason IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.paused_at IS 'As in gates, for this lane.';
COMMENT ON COLUMN {schema}.lanes.paused_until IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.paused_by IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.pause_reason IS 'As in gates.';
COMMENT ON COLUMN {schema}.lanes.spent_to IS 'As in gates, for this lane.';


-- As wake(queue), for a job that may have a gate: then the workers that wait are told of the gate.
CREATE FUNCTION {schema}.wake_for(queue text, gate text) RETURNS void
LANGUAGE sql AS $function$
    SELECT pg_notify(
        CASE WHEN wake_for.gate IS NULL THEN {channel} ELSE {gate_channel} END, coalesce(wake_for.gate, wake_for.queue)
    )
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting AND stopped_at IS NULL) AND pg_notification_queue_usage() < 0.9
$function$;

COMMENT ON FUNCTION {schema}.wake_for IS 'Tells the workers that there is something to do in a queue, or at a gate.';

-- As jobq.gates does it: text as it is, a typed value by what it holds.
CREATE FUNCTION {schema}.lane_of(arguments jsonb, parameter text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN jsonb_typeof(lane_of.arguments -> lane_of.parameter) = 'object'
            THEN lane_of.arguments -> lane_of.parameter ->> 'v'
        ELSE lane_of.arguments ->> lane_of.parameter
    END
$function$;

COMMENT ON FUNCTION {schema}.lane_of IS 'The lane of a job with these arguments, where one parameter names it; null: none does.';

-- Functions get more parameters, and so are made anew. Who may call them stays as it is.
SELECT set_config('jobq.callers', coalesce(jsonb_agg(ARRAY[proname::text, granted.grantee::text])::text, '[]'), true)
FROM pg_proc
CROSS JOIN LATERAL aclexplode(proacl) AS granted
WHERE pronamespace = quote_ident({schema_name})::regnamespace AND proname IN ('enqueue', 'enqueue_many')
    AND granted.privilege_type = 'EXECUTE' AND granted.grantee NOT IN (0, proowner);

DROP FUNCTION {schema}.enqueue, {schema}.enqueue_many;

CREATE FUNCTION {schema}.enqueue(
    job_class text,
    arguments jsonb DEFAULT '{}',
    queue text DEFAULT 'default',
    priority integer DEFAULT 0,
    retries integer DEFAULT 0,
    delay interval DEFAULT NULL,
    run_at timestamptz DEFAULT NULL,
    unique_key text DEFAULT NULL,
    timeout interval DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    source text DEFAULT NULL,
    on_held text DEFAULT 'skip',
    unique_until text DEFAULT 'finished',
    unique_for interval DEFAULT NULL,
    debounce_limit interval DEFAULT NULL,
    lane text DEFAULT NULL,
    gate text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    unfit CONSTANT text := '[\u0001-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]';
    max_bytes CONSTANT integer := coalesce(nullif(current_setting('jobq.max_arguments_bytes', true), '')::integer, 262144);
    due CONSTANT timestamptz := coalesce(
        enqueue.run_at, statement_timestamp() + coalesce(enqueue.delay, interval '0')
    );
    has_rules CONSTANT boolean := nullif(enqueue.unique_key, '') IS NOT NULL
        AND (enqueue.on_held, enqueue.unique_until, enqueue.unique_for) IS DISTINCT FROM ('skip', 'finished', NULL::interval);
    -- Only the application knows that; what its workers last reported is as near as SQL gets.
    has_abort_hook CONSTANT boolean := coalesce(
        (
            SELECT (class ->> 'has_abort_hook')::boolean
            FROM {schema}.workers
            CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
            WHERE class ->> 'name' = enqueue.job_class OR class -> 'aliases' ? enqueue.job_class
            ORDER BY workers.id DESC
            LIMIT 1
        ),
        false
    );
    is_early CONSTANT boolean := due > statement_timestamp();
    declared jsonb;
    trouble text;
    added bigint;
BEGIN
    -- Jobs of a class that was renamed are stored under its first alias (docs/renames.md).
    job_class := coalesce(
        (
            SELECT class -> 'aliases' ->> 0
            FROM {schema}.workers
            CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
            WHERE class ->> 'name' = enqueue.job_class OR class -> 'aliases' ? enqueue.job_class
            ORDER BY workers.id DESC
            LIMIT 1
        ),
        enqueue.job_class
    );
    -- The gate is that of the class, as the youngest worker that knows it has it; the lane is what its jobs take for it.
    SELECT class -> 'gate' INTO declared
    FROM {schema}.workers
    CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
    WHERE class ->> 'name' = enqueue.job_class OR class -> 'aliases' ? enqueue.job_class
    ORDER BY workers.id DESC
    LIMIT 1;
    gate := coalesce(nullif(enqueue.gate, ''), declared ->> 'name');
    IF gate IS NOT NULL THEN
        lane := coalesce(enqueue.lane, {schema}.lane_of(enqueue.arguments, declared ->> 'by'), '');
    END IF;
    trouble := CASE
        WHEN enqueue.job_class IS NULL OR enqueue.job_class = '' OR octet_length(enqueue.job_class) > 1000
            THEN 'job_class must be the registered name of a class, like shop.jobs.SendReceipt'
        WHEN enqueue.arguments IS NULL OR jsonb_typeof(enqueue.arguments) <> 'object'
            THEN 'arguments must be a JSON object: the constructor''s arguments by name'
        WHEN octet_length(enqueue.arguments::text) > max_bytes
            THEN format('arguments take %s bytes; %s are allowed (jobq.max_arguments_bytes)',
                octet_length(enqueue.arguments::text), max_bytes)
        WHEN enqueue.queue IS NULL OR enqueue.queue = '' OR enqueue.queue ~ unfit
            THEN 'queue must be text without control characters'
        WHEN char_length(enqueue.queue) > 100
            THEN format('queue is a name of %s characters; 100 are allowed', char_length(enqueue.queue))
        WHEN enqueue.priority IS NULL OR enqueue.priority NOT BETWEEN -32767 AND 32767
            THEN 'priority must be between -32767 and 32767'
        WHEN enqueue.retries IS NULL OR enqueue.retries NOT BETWEEN 0 AND 1000000
            THEN 'retries must be between 0 and 1000000'
        WHEN enqueue.unique_key ~ unfit
            THEN 'unique_key must be text without control characters'
        WHEN char_length(enqueue.unique_key) > 250
            THEN format('unique_key has %s characters; 250 are allowed. Use a hash of it', char_length(enqueue.unique_key))
        WHEN enqueue.delay IS NOT NULL AND enqueue.run_at IS NOT NULL
            THEN 'delay and run_at exclude each other'
        WHEN enqueue.delay < interval '0'
            THEN 'delay must not be negative: a job cannot start in the past'
        WHEN due > statement_timestamp() + interval '36525 days' AND enqueue.delay IS NOT NULL
            THEN 'delay must not be more than 100 years'
        WHEN extract(year FROM due AT TIME ZONE 'UTC') NOT BETWEEN 1970 AND 9998
            THEN 'run_at must be within the years 1970 to 9998'
        WHEN enqueue.timeout <= interval '0' OR enqueue.timeout > interval '36525 days'
            THEN 'timeout must be above 0, and not more than 100 years'
        WHEN enqueue.expires_at <= greatest(due, statement_timestamp())
            THEN 'expires_at is not after the job is due: it would never run'
        WHEN extract(year FROM enqueue.expires_at AT TIME ZONE 'UTC') NOT BETWEEN 1970 AND 9998
            THEN 'expires_at must be within the years 1970 to 9998'
        WHEN enqueue.gate ~ unfit OR char_length(enqueue.gate) > 100
            THEN 'gate must be the name of a gate: 100 characters at most, and no control characters'
        WHEN enqueue.lane IS NOT NULL AND enqueue.gate IS NULL
            THEN 'lane is for jobs with a gate; no worker has said that this class has one'
        WHEN enqueue.lane ~ unfit OR char_length(enqueue.lane) > 250
            THEN 'lane must be text of 250 characters at most, without control characters'
        WHEN enqueue.on_held IS NULL
            OR enqueue.on_held NOT IN ('skip', 'return', 'replace', 'debounce', 'rerun', 'newest')
            THEN 'on_held must be skip, return, replace, debounce, rerun or newest'
        WHEN enqueue.unique_until IS NULL OR enqueue.unique_until NOT IN ('finished', 'started')
            THEN 'unique_until must be finished or started'
        WHEN enqueue.unique_for <= interval '0' OR enqueue.unique_for > interval '36525 days'
            THEN 'unique_for must be above 0, and not more than 100 years'
        WHEN enqueue.debounce_limit <= interval '0' OR enqueue.debounce_limit > interval '36525 days'
            THEN 'debounce_limit must be above 0, and not more than 100 years'
        WHEN (enqueue.on_held = 'debounce') <> (enqueue.debounce_limit IS NOT NULL)
            THEN 'debounce_limit goes with on_held => debounce, and that needs it'
        WHEN enqueue.on_held IN ('rerun', 'newest') AND enqueue.unique_until = 'started'
            THEN 'unique_until => started leaves nothing to follow: a job that runs does not hold its key'
        WHEN enqueue.on_held IN ('debounce', 'rerun', 'newest') AND enqueue.unique_for IS NOT NULL
            THEN 'unique_for goes with on_held => skip, return or replace: a job that follows would come within the time'
    END;
    IF trouble IS NOT NULL THEN
        RAISE EXCEPTION 'enqueue: %', trouble USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF has_rules THEN
        RETURN (
            SELECT (held.job).id
            FROM {schema}.enqueue_held(jsonb_build_array(jsonb_build_object(
                'job_class', enqueue.job_class, 'arguments', enqueue.arguments, 'queue', enqueue.queue,
                'priority', enqueue.priority, 'retries', enqueue.retries, 'unique_key', enqueue.unique_key,
                'source', enqueue.source, 'run_at', due, 'timeout', extract(epoch FROM enqueue.timeout),
                'expires_at', enqueue.expires_at, 'has_abort_hook', has_abort_hook,
                'on_held', enqueue.on_held, 'unique_until', enqueue.unique_until,
                'unique_for', extract(epoch FROM enqueue.unique_for),
                'debounce_limit', extract(epoch FROM enqueue.debounce_limit), 'gate', enqueue.gate, 'lane', enqueue.lane
            ))) AS held
        );
    END IF;

    INSERT INTO {schema}.jobs
        (job_class, arguments, queue, priority, retries, unique_key, source, run_at, is_due, timeout, expires_at,
         has_abort_hook, gate, lane)
    VALUES (
        enqueue.job_class, enqueue.arguments, enqueue.queue, enqueue.priority, enqueue.retries,
        nullif(enqueue.unique_key, ''), enqueue.source, due,
        CASE WHEN is_early THEN false WHEN enqueue.gate IS NULL THEN true END,
        extract(epoch FROM enqueue.timeout), enqueue.expires_at,
        has_abort_hook, enqueue.gate, enqueue.lane
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id INTO added;

    IF added IS NOT NULL THEN
        PERFORM {schema}.wake_for(enqueue.queue, enqueue.gate);
    END IF;
    RETURN added;
END;
$function$;

COMMENT ON FUNCTION {schema}.enqueue IS
    'Adds one job, in the transaction at hand: its id; where its unique key is held, what on_held says: null, or the id of the job that holds it.';

CREATE FUNCTION {schema}.enqueue_many(
    job_classes text[], arguments text[], queues text[], priorities smallint[], retries integer[], unique_keys text[],
    sources text[], trace_contexts text[], run_ats timestamptz[], delays float8[], timeouts real[],
    expires_ats timestamptz[], expires_ins float8[], abort_hooks boolean[],
    gates text[] DEFAULT NULL, lanes text[] DEFAULT NULL
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
            enqueue_many.expires_ins, enqueue_many.abort_hooks, enqueue_many.gates, enqueue_many.lanes
        ) WITH ORDINALITY AS row (
            job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, delay,
            timeout, expires_at, expires_in, has_abort_hook, gate, lane, place
        )
    ), due AS (
        SELECT
            *, coalesce(given.run_at, moment + given.delay * interval '1 second') AS due_at,
            coalesce(given.expires_at, moment + given.expires_in * interval '1 second') AS ends_at
        FROM given
    ), added AS (
        INSERT INTO {schema}.jobs AS job
            (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, is_due,
             timeout, expires_at, has_abort_hook, gate, lane)
        SELECT
            id, job_class, arguments::jsonb, queue, priority, retries, unique_key, source, trace_context::jsonb, due_at,
            CASE WHEN due_at > moment THEN false WHEN gate IS NULL THEN true END, timeout, ends_at, has_abort_hook, gate,
            lane
        FROM due
        ORDER BY
            CASE WHEN unique_key IS NOT NULL THEN job_class END COLLATE "C" NULLS FIRST,
            unique_key COLLATE "C" NULLS FIRST, id
        ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING job.id, job.state, job.enqueued_at, job.run_at, job.expires_at
    )
    SELECT
        given.place, added.id, added.state, added.enqueued_at::timestamptz, added.run_at::timestamptz,
        added.expires_at::timestamptz
    FROM added
    JOIN given USING (id);
    SELECT array_agg(DISTINCT queue) INTO touched FROM unnest(enqueue_many.queues) AS given (queue);
    IF enqueue_many.gates IS NOT NULL THEN
        PERFORM {schema}.wake_for('', gate)
        FROM (SELECT DISTINCT gate FROM unnest(enqueue_many.gates) AS given (gate) WHERE gate IS NOT NULL) AS touched_gate;
    END IF;
    PERFORM {schema}.wake(queue) FROM unnest(touched) AS given (queue);
END;
$function$;

COMMENT ON FUNCTION {schema}.enqueue_many IS 'Adds many jobs; returns those that were added, by their places.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;

DO $do$
DECLARE
    caller record;
BEGIN
    FOR caller IN
        SELECT entry ->> 0 AS proname, (entry ->> 1)::oid AS grantee
        FROM jsonb_array_elements(current_setting('jobq.callers')::jsonb) AS entry
    LOOP
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION %I.%I TO %s', {schema_name}, caller.proname, caller.grantee::regrole
        );
    END LOOP;
END;
$do$;

CREATE OR REPLACE FUNCTION {schema}.add_held(asked {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql AS $function$
DECLARE
    is_early CONSTANT boolean := asked.run_at > statement_timestamp();
    added {schema}.jobs;
BEGIN
    INSERT INTO {schema}.jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, timeout, expires_at,
         has_abort_hook, run_at, is_due, gate, lane)
    VALUES (
        coalesce(asked.id, nextval(pg_get_serial_sequence(format('%I.jobs', {schema_name}), 'id'))), asked.job_class, asked.arguments,
        asked.queue, asked.priority, asked.retries, asked.unique_key, asked.source, asked.trace_context, asked.timeout,
        asked.expires_at, asked.has_abort_hook, asked.run_at,
        CASE WHEN is_early THEN false WHEN asked.gate IS NULL THEN true END, asked.gate, asked.lane
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING * INTO added;
    IF added.id IS NOT NULL AND NOT is_early THEN
        PERFORM {schema}.wake_for(asked.queue, asked.gate);
    END IF;
    RETURN added;
END;
$function$;

CREATE OR REPLACE FUNCTION {schema}.replace_job(waiting {schema}.jobs, asked {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql AS $function$
DECLARE
    is_early CONSTANT boolean := asked.run_at > statement_timestamp();
    replaced {schema}.jobs;
BEGIN
    UPDATE {schema}.jobs
    SET arguments = asked.arguments,
        queue = asked.queue,
        priority = asked.priority,
        retries = least(greatest(waiting.attempt - waiting.excused, 0)::bigint + asked.retries, 2147483647),
        losses = 0,
        source = asked.source,
        trace_context = asked.trace_context,
        timeout = asked.timeout,
        expires_at = asked.expires_at,
        has_abort_hook = asked.has_abort_hook,
        run_at = greatest(asked.run_at, statement_timestamp()),
        is_due = CASE WHEN is_early THEN false WHEN asked.gate IS NULL THEN true END,
        gate = asked.gate,
        lane = asked.lane,
        place = CASE WHEN (asked.gate, asked.lane) = (waiting.gate, waiting.lane) THEN waiting.place END,
        follow_up = NULL,
        replaced_at = statement_timestamp()
    WHERE id = waiting.id
    RETURNING * INTO replaced;
    IF NOT is_early THEN
        PERFORM {schema}.wake_for(asked.queue, asked.gate);
    END IF;
    RETURN replaced;
END;
$function$;

CREATE OR REPLACE FUNCTION {schema}.follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    following CONSTANT {schema}.jobs := jsonb_populate_record(NULL::{schema}.jobs, OLD.follow_up);
    is_early CONSTANT boolean := following.run_at > statement_timestamp();
BEGIN
    INSERT INTO {schema}.jobs
        (job_class, arguments, queue, priority, retries, unique_key, source, trace_context, timeout, expires_at,
         has_abort_hook, enqueued_at, run_at, is_due, gate, lane)
    VALUES (
        OLD.job_class, following.arguments, following.queue, following.priority, following.retries,
        following.unique_key, following.source, following.trace_context, following.timeout, following.expires_at,
        following.has_abort_hook, following.enqueued_at, greatest(following.run_at, statement_timestamp()),
        CASE WHEN is_early THEN false WHEN following.gate IS NULL THEN true END, following.gate, following.lane
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING;
    IF NOT is_early THEN
        PERFORM {schema}.wake_for(following.queue, following.gate);
    END IF;
    RETURN NULL;
END;
$function$;
