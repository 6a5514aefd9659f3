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
    SELECT minute AS at, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs FROM minute
    UNION ALL
    SELECT at, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs FROM five
), put AS (
    INSERT INTO {schema}.folded_metrics
        (at, minutes, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs)
    SELECT
        date_bin(span.minutes * interval '1 minute', taken.at, to_timestamp(0)), span.minutes, queue, job_class,
        sum(successful), sum(errored), sum(cancelled), sum(deferred), sum(lost), sum(retried),
        ARRAY[
            sum(waits[1]), sum(waits[2]), sum(waits[3]), sum(waits[4]), sum(waits[5]), sum(waits[6]),
            sum(waits[7]), sum(waits[8]), sum(waits[9]), sum(waits[10]), sum(waits[11]), sum(waits[12]),
            sum(waits[13]), sum(waits[14]), sum(waits[15]), sum(waits[16]), sum(waits[17]), sum(waits[18]),
            sum(waits[19]), sum(waits[20]), sum(waits[21]), sum(waits[22]), sum(waits[23]), sum(waits[24])
        ]::integer[],
        ARRAY[
            sum(runs[1]), sum(runs[2]), sum(runs[3]), sum(runs[4]), sum(runs[5]), sum(runs[6]),
            sum(runs[7]), sum(runs[8]), sum(runs[9]), sum(runs[10]), sum(runs[11]), sum(runs[12]),
            sum(runs[13]), sum(runs[14]), sum(runs[15]), sum(runs[16]), sum(runs[17]), sum(runs[18]),
            sum(runs[19]), sum(runs[20]), sum(runs[21]), sum(runs[22]), sum(runs[23]), sum(runs[24])
        ]::integer[]
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
        waits = (
            SELECT array_agg(coalesce(before, 0) + coalesce(now, 0) ORDER BY place)
            FROM unnest(folded_metrics.waits, excluded.waits) WITH ORDINALITY AS added (before, now, place)
        ),
        runs = (
            SELECT array_agg(coalesce(before, 0) + coalesce(now, 0) ORDER BY place)
            FROM unnest(folded_metrics.runs, excluded.runs) WITH ORDINALITY AS added (before, now, place)
        )
)
SELECT count(*) FROM taken
