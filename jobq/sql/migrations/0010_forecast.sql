-- min_version: 1
-- What a queue asks of its workers is worked out in one place, for wanted_processes() and for forecasts.

-- As wanted_processes() had it: the jobs that are due, and the process-seconds that they and those due within the time take;
-- how many jobs come in a second, and how many seconds the usual one takes; and attempts that run for long.
CREATE FUNCTION {schema}.queue_work(queue text, within interval) RETURNS TABLE (
    due bigint, backlog_seconds float8, incoming float8, usual_seconds float8, long_running bigint, is_paused boolean,
    gated bigint, gated_limit bigint, gate text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    named CONSTANT text := queue_work.queue;
    moment CONSTANT timestamptz := statement_timestamp();
    long_seconds CONSTANT float8 := 30;
    max_counted CONSTANT integer := 50000;
    max_looked CONSTANT integer := 5000;
    coming bigint;
BEGIN
    SELECT count(*) INTO due
    FROM (SELECT FROM {schema}.jobs WHERE is_due AND queue = named LIMIT max_counted) AS counted;
    IF due = max_counted THEN
        SELECT greatest(due, unfinished) INTO due
        FROM (SELECT 1) AS one
        LEFT JOIN {schema}.levels
            ON queue = named AND minute = date_bin('1 minute', moment - interval '1 minute', to_timestamp(0));
    END IF;
    SELECT count(*) FILTER (WHERE queue = named) INTO coming
    FROM (
        SELECT queue FROM {schema}.jobs WHERE NOT is_due AND run_at <= moment + within ORDER BY run_at LIMIT max_counted
    ) AS counted;

    WITH bound AS (
        SELECT
            row_number() OVER (ORDER BY power, digits) - 1 AS place,
            digits * 10.0 ^ power AS low
        FROM unnest('{10,12,14,16,18,20,24,28,32,36,40,48,56,64,72,80,90}'::integer[]) AS given (digits)
        CROSS JOIN generate_series(-4, 4) AS series (power)
    ), middle AS (
        SELECT place + 1 AS place, coalesce(2 * low * high / (low + high), low) AS seconds
        FROM (SELECT place, low, lead(low) OVER (ORDER BY place) AS high FROM bound) AS span
        UNION ALL
        SELECT 0, low / 2 FROM bound WHERE place = 0
    ), ran AS (
        SELECT job_class, sum(runs) AS runs
        FROM {schema}.all_metrics
        WHERE queue = named AND at >= moment - interval '7 days' AND runs > 0
        GROUP BY job_class
    ), counted AS (
        SELECT ran.job_class, middle.seconds, mod(div(ran.runs, 10::numeric ^ (12 * middle.place)), 1e12) AS attempts
        FROM ran
        CROSS JOIN middle
    ), class AS (
        SELECT job_class, sum(attempts) AS attempts, (sum(attempts * seconds) / sum(attempts))::float8 AS seconds
        FROM counted
        WHERE attempts > 0
        GROUP BY job_class
    ), typical AS (
        SELECT coalesce((SELECT (sum(attempts * seconds) / sum(attempts))::float8 FROM class), 1.0) AS seconds
    ), front AS (
        SELECT job_class
        FROM {schema}.jobs
        WHERE is_due AND queue = named
        ORDER BY queue, -priority, id
        LIMIT max_looked
    ), mix AS (
        SELECT avg(coalesce(class.seconds, typical.seconds)) AS seconds
        FROM front
        CROSS JOIN typical
        LEFT JOIN class USING (job_class)
    ), begun AS (
        SELECT entry.key::bigint AS id, (entry.value ->> 1)::float8 AS seconds
        FROM {schema}.workers
        CROSS JOIN LATERAL jsonb_each(
            CASE jsonb_typeof(status -> 'begun') WHEN 'object' THEN status -> 'begun' ELSE '{}' END
        ) AS entry
        WHERE stopped_at IS NULL
    )
    SELECT
        typical.seconds, due * coalesce(mix.seconds, 0) + coming * typical.seconds,
        (
            SELECT count(*)
            FROM begun
            JOIN {schema}.jobs ON jobs.id = begun.id AND jobs.queue = named AND jobs.worker_id IS NOT NULL
            LEFT JOIN class ON class.job_class = jobs.job_class
            WHERE greatest(begun.seconds, class.seconds) >= long_seconds
        )
    INTO usual_seconds, backlog_seconds, long_running
    FROM typical
    CROSS JOIN mix;

    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(more + ended, 0) / 60.0) INTO incoming
    FROM (
        SELECT
            unfinished - lag(unfinished) OVER (ORDER BY minute) AS more,
            coalesce((
                SELECT sum(successful + errored + cancelled + deferred + lost - retried)
                FROM {schema}.metrics
                WHERE metrics.queue = named AND metrics.minute = levels.minute - interval '1 minute'
            ), 0) AS ended
        FROM {schema}.levels
        WHERE queue = named AND minute >= moment - interval '11 minutes'
    ) AS step
    WHERE more IS NOT NULL;

    -- Jobs that wait at a gate or run through it: more processes than its limit do not help them. Of a gate that is paused,
    -- only those that run count. Gates that no worker has declared let nothing through.
    WITH at_gate AS (
        SELECT
            gates.name,
            CASE WHEN gates.paused_at IS NULL OR gates.paused_until <= moment THEN waiting.jobs ELSE 0 END + running.jobs AS jobs,
            coalesce(
                CASE WHEN gates.set_until IS NULL OR gates.set_until > moment THEN gates.set_max_running END,
                gates.max_running
            ) AS most
        FROM {schema}.gates
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs
            FROM (
                SELECT FROM {schema}.jobs
                WHERE is_due IS NULL AND place IS NULL AND gate = gates.name AND queue = named
                LIMIT max_counted
            ) AS limited
        ) AS waiting
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs
            FROM {schema}.jobs
            WHERE gate = gates.name AND place > 0 AND queue = named AND worker_id IS NOT NULL
        ) AS running
    )
    SELECT
        coalesce(sum(jobs), 0), CASE WHEN bool_and(most IS NOT NULL) THEN sum(least(most, jobs)) END,
        (array_agg(name ORDER BY jobs DESC, name))[1]
    INTO gated, gated_limit, gate
    FROM at_gate
    WHERE jobs > 0 AND most IS DISTINCT FROM 0;

    incoming := coalesce(incoming, 0);
    is_paused := EXISTS (SELECT FROM {schema}.queues WHERE name = named AND paused_at IS NOT NULL);
    RETURN NEXT;
END;
$function$;

COMMENT ON FUNCTION {schema}.queue_work IS
    'What a queue asks of its workers: what is due, how much work that is, what comes in, and what waits at gates.';

CREATE OR REPLACE FUNCTION {schema}.wanted_processes(queue text, within interval DEFAULT '10 minutes') RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    seconds CONSTANT float8 := extract(epoch FROM wanted_processes.within);
    work record;
    load float8;
    gated float8;
BEGIN
    IF seconds IS NULL OR seconds <= 0 THEN
        RAISE EXCEPTION 'within is %, but must be longer than no time', coalesce(wanted_processes.within::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT * INTO work FROM {schema}.queue_work(wanted_processes.queue, wanted_processes.within);
    IF work.is_paused THEN
        RETURN work.long_running;
    END IF;
    -- What comes in is not known by gate: it counts with the jobs that have none, if there are any.
    load := work.incoming * work.usual_seconds;
    gated := work.gated * work.usual_seconds / seconds + CASE WHEN work.due = 0 AND work.gated > 0 THEN load ELSE 0 END;
    load := CASE WHEN work.due = 0 AND work.gated > 0 THEN 0 ELSE load END;
    RETURN least(
        greatest(
            ceil(round((work.backlog_seconds / seconds + load)::numeric, 3))
                + least(ceil(round(gated::numeric, 3)), coalesce(work.gated_limit, 2147483647)),
            work.long_running,
            CASE WHEN work.due + work.gated > 0 THEN 1 ELSE 0 END
        ),
        2147483647
    );
END;
$function$;

REVOKE ALL ON FUNCTION {schema}.queue_work(text, interval) FROM PUBLIC;
