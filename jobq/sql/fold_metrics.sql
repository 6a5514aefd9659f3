-- Moves figures that are old into the longer span that holds them, a portion at a time, the oldest first. Each figure is in
-- one place before and after, so what comes late (from a worker whose database was away) is moved in its time like the
-- rest. Any number of workers may do it at once: each takes other rows, and all add to the same ones in the order of the key.
WITH bounds AS MATERIALIZED (
    SELECT
        date_bin('5 minutes', statement_timestamp() - %(minutes_kept)s::interval, to_timestamp(0)) AS minutes_end,
        date_bin('1 hour', statement_timestamp() - %(fives_kept)s::interval, to_timestamp(0)) AS fives_end
), minute AS (
    DELETE FROM {schema}.metrics
    WHERE (minute, queue, job_class) IN (
        SELECT minute, queue, job_class
        FROM {schema}.metrics
        WHERE minute < (SELECT minutes_end FROM bounds)
        ORDER BY minute
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING *
), five AS (
    DELETE FROM {schema}.folded_metrics
    WHERE (at, minutes, queue, job_class) IN (
        SELECT at, minutes, queue, job_class
        FROM {schema}.folded_metrics
        WHERE minutes = 5 AND at < (SELECT fives_end FROM bounds)
        ORDER BY at
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING *
), taken AS (
    SELECT
        minute AS at, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
        longest_wait, longest_run
    FROM minute
    UNION ALL
    SELECT
        at, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
        longest_wait, longest_run
    FROM five
), put AS (
    INSERT INTO {schema}.folded_metrics
        (at, minutes, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
         longest_wait, longest_run)
    SELECT
        date_bin(span.minutes * interval '1 minute', taken.at, to_timestamp(0)), span.minutes, queue, job_class,
        sum(successful), sum(errored), sum(cancelled), sum(deferred), sum(lost), sum(retried),
        sum(waits), sum(runs), max(longest_wait), max(longest_run)
    FROM taken
    CROSS JOIN bounds
    CROSS JOIN LATERAL (SELECT CASE WHEN taken.at < bounds.fives_end THEN 60 ELSE 5 END AS minutes) AS span
    GROUP BY 1, 2, queue, job_class
    ORDER BY 1, 2, queue, job_class
    ON CONFLICT (at, minutes, queue, job_class) DO UPDATE
    SET successful = folded_metrics.successful + excluded.successful,
        errored = folded_metrics.errored + excluded.errored,
        cancelled = folded_metrics.cancelled + excluded.cancelled,
        deferred = folded_metrics.deferred + excluded.deferred,
        lost = folded_metrics.lost + excluded.lost,
        retried = folded_metrics.retried + excluded.retried,
        waits = folded_metrics.waits + excluded.waits,
        runs = folded_metrics.runs + excluded.runs,
        longest_wait = greatest(folded_metrics.longest_wait, excluded.longest_wait),
        longest_run = greatest(folded_metrics.longest_run, excluded.longest_run)
)
SELECT count(*) FROM taken
