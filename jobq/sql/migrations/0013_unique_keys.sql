-- A held unique key does what the job's class says (docs/unique-keys.md). An ordinary job, whose key is simply passed over
-- while it is held, is enqueued, claimed and ended by the statements that were there before: for it these columns are null.

ALTER TABLE {schema}.jobs
    ADD COLUMN follow_up jsonb,
    ADD COLUMN replaced_at timestamptz;

COMMENT ON COLUMN {schema}.jobs.follow_up IS 'The job that follows this one when it ends, under the same key: as a row of jobs.';
COMMENT ON COLUMN {schema}.jobs.replaced_at IS 'When an enqueue with the same key last gave it new arguments; null: never.';

ALTER TABLE {schema}.schedules ADD COLUMN key_rules jsonb;

COMMENT ON COLUMN {schema}.schedules.key_rules IS 'What their class says of a held key; null: a tick passes without a job.';

-- A time span that outlives its job. Workers delete what is over, whenever they look after the history.
CREATE TABLE {schema}.throttles (
    job_class text NOT NULL,
    unique_key text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (job_class, unique_key)
);

COMMENT ON TABLE {schema}.throttles IS 'Keys of classes with unique_for: until when no other job is enqueued with them.';
COMMENT ON COLUMN {schema}.throttles.job_class IS 'The class of the job that was enqueued.';
COMMENT ON COLUMN {schema}.throttles.unique_key IS 'Its unique key.';
COMMENT ON COLUMN {schema}.throttles.until IS 'From this time on another may be enqueued.';

CREATE INDEX throttles_until ON {schema}.throttles (until);


-- The follow-up of a job enters the table in the statement in which that job leaves it, whichever statement that is: its
-- worker's, a rescue, an operator's, or the job's own (complete). So the key is never free in between, and no statement
-- that ends jobs has to know of it. The condition is part of the trigger: a job without a follow-up calls no function.
CREATE FUNCTION {schema}.follow() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    following CONSTANT {schema}.jobs := jsonb_populate_record(NULL::{schema}.jobs, OLD.follow_up);
    is_early CONSTANT boolean := following.run_at > statement_timestamp();
BEGIN
    INSERT INTO {schema}.jobs
        (job_class, arguments, queue, priority, retries, unique_key, source, trace_context, timeout, expires_at,
         has_abort_hook, enqueued_at, run_at, state)
    VALUES (
        OLD.job_class, following.arguments, following.queue, following.priority, following.retries,
        following.unique_key, following.source, following.trace_context, following.timeout, following.expires_at,
        following.has_abort_hook, following.enqueued_at, greatest(following.run_at, statement_timestamp()),
        CASE WHEN is_early THEN 'scheduled' ELSE 'pending' END
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING;
    IF NOT is_early THEN
        PERFORM {schema}.wake(following.queue);
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION {schema}.follow IS 'Enqueues the follow-up of a job that has just left the table.';

-- As the statements of jobq do it: only where a worker waits, and the server's queue of notifications has room.
CREATE FUNCTION {schema}.wake(queue text) RETURNS void
LANGUAGE sql AS $function$
    SELECT pg_notify({channel}, queue)
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
$function$;

COMMENT ON FUNCTION {schema}.wake IS 'Tells the workers that there is something to do in a queue.';

CREATE TRIGGER follow AFTER DELETE ON {schema}.jobs
    FOR EACH ROW WHEN (OLD.follow_up IS NOT NULL)
    EXECUTE FUNCTION {schema}.follow();


-- A job that waits takes over all that a later one with its key says. Its id, its first time of enqueueing and its
-- attempts stay; it gets as many attempts from now on as the later one asks for.
CREATE FUNCTION {schema}.replace_job(waiting {schema}.jobs, asked {schema}.jobs) RETURNS {schema}.jobs
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
        state = CASE WHEN is_early THEN 'scheduled' ELSE 'pending' END,
        follow_up = NULL,
        replaced_at = statement_timestamp()
    WHERE id = waiting.id
    RETURNING * INTO replaced;
    IF NOT is_early THEN
        PERFORM {schema}.wake(asked.queue);
    END IF;
    RETURN replaced;
END;
$function$;

COMMENT ON FUNCTION {schema}.replace_job IS 'Gives a waiting job, locked by the caller, all that a later one says.';

-- A job that ran and waits again (a retry, say) need not run with old arguments first. The statement that puts it back
-- calls this, so its row is that statement's own. A statement that does not is no harm: the follow-up comes in the end.
CREATE FUNCTION {schema}.follow_jobs(ids bigint[]) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    job {schema}.jobs;
    followed integer := 0;
BEGIN
    FOR job IN
        SELECT *
        FROM {schema}.jobs
        WHERE id = ANY (ids) AND state IN ('pending', 'scheduled') AND follow_up IS NOT NULL
        ORDER BY id
    LOOP
        PERFORM {schema}.replace_job(job, jsonb_populate_record(NULL::{schema}.jobs, job.follow_up));
        followed := followed + 1;
    END LOOP;
    RETURN followed;
END;
$function$;

COMMENT ON FUNCTION {schema}.follow_jobs IS 'Gives jobs that are back in the queue what their follow-ups say.';


-- Whether an enqueue changes the job that holds its key, and so must lock it. A job that it leaves alone is not locked:
-- it can be claimed, and end, while the transaction that enqueues is open.
CREATE FUNCTION {schema}.changes_holder(holder_state text, item jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $function$
    SELECT CASE
        WHEN holder_state = 'running'
            THEN item ->> 'on_held' IN ('debounce', 'rerun', 'newest') OR item ->> 'unique_until' = 'started'
        ELSE item ->> 'on_held' IN ('replace', 'debounce', 'rerun', 'newest')
    END
$function$;

COMMENT ON FUNCTION {schema}.changes_holder IS 'Whether an enqueue by these rules changes a job in this state that holds its key.';

-- One job, by the rules of its class. Raises JQ001 where a row is locked by somebody who came in between: enqueue_held
-- then begins again. It waits for no row itself, for it may hold others by now.
CREATE FUNCTION {schema}.place_held(item jsonb, OUT verdict text, OUT job {schema}.jobs)
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
        IF NOT is_throttled THEN
            job := {schema}.add_held(asked);
            IF job.id IS NOT NULL THEN
                PERFORM {schema}.throttle(asked.job_class, asked.unique_key, moment, span);
                verdict := 'enqueued';
                RETURN;
            END IF;
        END IF;
        SELECT * INTO holder FROM {schema}.jobs WHERE job_class = asked.job_class AND unique_key = asked.unique_key;
        IF NOT FOUND AND is_throttled THEN
            verdict := 'throttled';
            RETURN;
        END IF;
        CONTINUE WHEN NOT FOUND; -- it ended just now
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

COMMENT ON FUNCTION {schema}.place_held IS 'Enqueues one job by the rules of its class for a key that is held.';

CREATE FUNCTION {schema}.add_held(asked {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql AS $function$
DECLARE
    is_early CONSTANT boolean := asked.run_at > statement_timestamp();
    added {schema}.jobs;
BEGIN
    INSERT INTO {schema}.jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, timeout, expires_at,
         has_abort_hook, run_at, state)
    VALUES (
        coalesce(asked.id, nextval(pg_get_serial_sequence(format('%I.jobs', {schema_name}), 'id'))), asked.job_class, asked.arguments,
        asked.queue, asked.priority, asked.retries, asked.unique_key, asked.source, asked.trace_context, asked.timeout,
        asked.expires_at, asked.has_abort_hook, asked.run_at, CASE WHEN is_early THEN 'scheduled' ELSE 'pending' END
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING * INTO added;
    IF added.id IS NOT NULL AND NOT is_early THEN
        PERFORM {schema}.wake(asked.queue);
    END IF;
    RETURN added;
END;
$function$;

COMMENT ON FUNCTION {schema}.add_held IS 'Adds a job where its key is free; else returns nothing.';

-- Remembers until when no other job is enqueued with a key. Another may have been enqueued and have ended since the look
-- before: then all is done anew.
CREATE FUNCTION {schema}.throttle(of_class text, of_key text, moment timestamptz, span interval) RETURNS void
LANGUAGE plpgsql AS $function$
BEGIN
    IF span IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.throttles (job_class, unique_key, until)
    VALUES (of_class, of_key, moment + span)
    ON CONFLICT (job_class, unique_key) DO UPDATE SET until = excluded.until WHERE throttles.until <= moment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the key was throttled just now' USING ERRCODE = 'JQ001';
    END IF;
END;
$function$;

COMMENT ON FUNCTION {schema}.throttle IS 'Remembers that a job was enqueued with a key, for its class''s unique_for.';

-- As request_cancel.sql does: its worker is told, and asks the job to end.
CREATE FUNCTION {schema}.supersede(holder {schema}.jobs) RETURNS void
LANGUAGE sql AS $function$
    UPDATE {schema}.jobs
    SET cancel_requested_at = statement_timestamp(), cancel_requested_by = 'a newer job with its key'
    WHERE id = holder.id AND cancel_requested_at IS NULL;
    SELECT pg_notify({control_channel}, holder.worker_id::text) WHERE pg_notification_queue_usage() < 0.9;
$function$;

COMMENT ON FUNCTION {schema}.supersede IS 'Asks a running job to end, for a newer one that follows it.';

-- Of two transactions that enqueue with a key by rules that change its holder, the second waits here for the end of the
-- first, and holds no row while it waits. The keys are locked in one order. Each lock takes room in a table of the server
-- that is of a fixed size; so a large batch locks its classes whole, which the others lock too, shared.
CREATE FUNCTION {schema}.lock_keys(items jsonb[]) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    changing CONSTANT jsonb[] := ARRAY(
        SELECT item
        FROM unnest(items) AS given (item)
        WHERE item ->> 'on_held' NOT IN ('skip', 'return') OR item ->> 'unique_until' = 'started'
    );
    is_large CONSTANT boolean := cardinality(changing) > 100;
    lock bigint;
BEGIN
    FOR lock IN
        SELECT DISTINCT hashtextextended(format('jobq class %s %s', {schema_name}, item ->> 'job_class'), 0)
        FROM unnest(changing) AS given (item)
        ORDER BY 1
    LOOP
        IF is_large THEN
            PERFORM pg_advisory_xact_lock(lock);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(lock);
        END IF;
    END LOOP;
    FOR lock IN
        SELECT DISTINCT
            hashtextextended(format('jobq key %s %s %s', {schema_name}, item ->> 'job_class', item ->> 'unique_key'), 0)
        FROM unnest(changing) AS given (item)
        WHERE NOT is_large
        ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(lock);
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION {schema}.lock_keys IS 'Locks keys for this transaction, against others that enqueue with them.';

-- Enqueues jobs whose classes have rules for a held key: a JSON array of rows of jobs, each with the rules, a delay and
-- a place. It acts for the owner, for it locks and changes the job that holds a key, which one who may only enqueue must
-- not do otherwise; so it tells of that job only where and when it runs, not what it holds.
-- Nobody waits for another crosswise. First the keys are locked, against others who enqueue; then the holders, in the order
-- of ids, as by the statements that end jobs; only then are rows added, in the order of keys. In between a key may have
-- been taken in another way, and its row be locked: waiting for that one now could close a circle, so everything that was
-- done here since the keys were locked is let go of, and done anew.
CREATE FUNCTION {schema}.enqueue_held(jobs jsonb)
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
BEGIN
    PERFORM {schema}.lock_keys(items);
    LOOP
        places := '{}';
        verdicts := '{}';
        placed := '{}';
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
                SELECT * INTO answer FROM {schema}.place_held(item);
                places := array_append(places, (item ->> 'place')::integer);
                verdicts := array_append(verdicts, answer.verdict);
                placed := array_append(placed, answer.job);
            END LOOP;
            EXIT;
        EXCEPTION WHEN SQLSTATE 'JQ001' THEN
            NULL; -- and so once more
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

COMMENT ON FUNCTION {schema}.enqueue_held IS 'Enqueues jobs by the rules of their classes for keys that are held.';

REVOKE ALL ON FUNCTION {schema}.enqueue_held(jsonb) FROM PUBLIC;

-- A job's arguments, for those who may read them; null for others.
CREATE FUNCTION {schema}.arguments_of(job_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $function$
BEGIN
    IF has_column_privilege(format('%I.jobs', {schema_name}), 'arguments', 'SELECT') THEN
        RETURN (SELECT arguments FROM {schema}.jobs WHERE id = job_id);
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION {schema}.arguments_of IS 'The arguments of an unfinished job, where the role at hand may read them.';


-- The same in plain SQL. A function takes further parameters only as another one; who may call it stays as it was.
DO $do$
DECLARE
    before CONSTANT aclitem[] := (
        SELECT proacl FROM pg_proc WHERE proname = 'enqueue' AND pronamespace = to_regnamespace(format('%I', {schema_name}))
    );
    granted record;
BEGIN
    DROP FUNCTION {schema}.enqueue;

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
        debounce_limit interval DEFAULT NULL
    ) RETURNS bigint
    LANGUAGE plpgsql AS $function$
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
        trouble text;
        added bigint;
    BEGIN
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
                    'debounce_limit', extract(epoch FROM enqueue.debounce_limit)
                ))) AS held
            );
        END IF;

        INSERT INTO {schema}.jobs
            (job_class, arguments, queue, priority, retries, unique_key, source, run_at, state, timeout, expires_at,
             has_abort_hook)
        VALUES (
            enqueue.job_class, enqueue.arguments, enqueue.queue, enqueue.priority, enqueue.retries,
            nullif(enqueue.unique_key, ''), enqueue.source, due,
            CASE WHEN due > statement_timestamp() THEN 'scheduled' ELSE 'pending' END,
            extract(epoch FROM enqueue.timeout), enqueue.expires_at,
            has_abort_hook
        )
        ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING id INTO added;

        IF added IS NOT NULL AND EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
        THEN
            PERFORM pg_notify({channel}, enqueue.queue);
        END IF;
        RETURN added;
    END;
    $function$;

    IF before IS NOT NULL THEN
        REVOKE ALL ON FUNCTION {schema}.enqueue FROM PUBLIC;
        FOR granted IN SELECT DISTINCT grantee FROM aclexplode(before) WHERE privilege_type = 'EXECUTE' LOOP
            EXECUTE format(
                'GRANT EXECUTE ON FUNCTION %I.enqueue TO %s', {schema_name},
                CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END
            );
        END LOOP;
    END IF;
END;
$do$;

COMMENT ON FUNCTION {schema}.enqueue IS
    'Adds one job, in the transaction at hand: its id; where its unique key is held, what on_held says: null, or the id of the job that holds it.';
