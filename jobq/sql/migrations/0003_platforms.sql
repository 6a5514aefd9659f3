-- min_version: 1
-- What platforms ask of the database: how many processes a queue wants, which worker works which queues, and names for
-- workers by which each is told from the others.

-- Two containers may have one host name, and each a worker with the process id 1.
ALTER TABLE {schema}.workers ADD COLUMN has_namesake boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN {schema}.workers.has_namesake IS
    'Another worker with this host and pid lived at the same time: its number belongs to its name.';

-- As jobq.queue_choice.works(). Patterns become those of LIKE, in which \ is the escape.
CREATE FUNCTION {schema}.works(terms text[], queue text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(bool_or(is_match) FILTER (WHERE NOT is_out), true)
        AND NOT coalesce(bool_or(is_match) FILTER (WHERE is_out), false)
    FROM (
        SELECT
            left(term, 1) = '-' AS is_out,
            works.queue LIKE translate(
                replace(replace(replace(
                    CASE WHEN left(term, 1) = '-' THEN substr(term, 2) ELSE term END, '\', '\\'), '%', '\%'), '_', '\_'
                ), '*?', '%_'
            ) AS is_match
        FROM unnest(works.terms) AS given (term)
    ) AS tried
$function$;

COMMENT ON FUNCTION {schema}.works IS 'Whether a worker with these names and patterns works a queue.';

-- How many processes end all that a queue holds, and what is due soon, within a time, while as much comes in as of late.
-- With the rights of its owner: an autoscaler needs no look at the tables. It costs no more with a million jobs than with
-- 50,000: beyond those it takes the count of the last minute, and the mix of classes is that of the front.
--
-- What comes in is the median of the last ten minutes: a burst is in the backlog, and must not count twice. A class that
-- never ran counts as the others of its queue do, else as one second. Attempts that run for long keep their processes:
-- fewer would cut them off. A minute's figures are histograms of 155 buckets with twelve digits each (jobq.histograms).
CREATE FUNCTION {schema}.wanted_processes(queue text, within interval DEFAULT '10 minutes') RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    named CONSTANT text := wanted_processes.queue;
    seconds CONSTANT float8 := extract(epoch FROM wanted_processes.within);
    moment CONSTANT timestamptz := statement_timestamp();
    long_seconds CONSTANT float8 := 30;
    max_counted CONSTANT integer := 50000;
    max_looked CONSTANT integer := 5000;
    due bigint;
    coming bigint;
    incoming float8;
    usual float8;
    backlog float8;
    long_running bigint;
BEGIN
    IF seconds IS NULL OR seconds <= 0 THEN
        RAISE EXCEPTION 'within is %, but must be longer than no time', coalesce(wanted_processes.within::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

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
    INTO usual, backlog, long_running
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

    IF EXISTS (SELECT FROM {schema}.queues WHERE name = named AND paused_at IS NOT NULL) THEN
        RETURN long_running;
    END IF;
    RETURN least(
        greatest(
            ceil(round((backlog / seconds + coalesce(incoming, 0) * usual)::numeric, 3)), long_running,
            CASE WHEN due > 0 THEN 1 ELSE 0 END
        ),
        2147483647
    );
END;
$function$;

COMMENT ON FUNCTION {schema}.wanted_processes IS
    'How many processes end what a queue holds within a time, and keep up with what comes in. For autoscalers.';

REVOKE ALL ON FUNCTION {schema}.works(text[], text), {schema}.wanted_processes(text, interval) FROM PUBLIC;
