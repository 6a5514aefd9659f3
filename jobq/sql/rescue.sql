-- Takes running jobs from workers that are gone: the attempt ends as lost, and the job goes back to the queue
-- until it has been lost `max_losses` times; then it rests in the history. SKIP LOCKED, and ordered by
-- id: any number of workers may rescue at once, and none waits for a late report.
-- What a worker had claimed and not begun looks the same as what it was running. So that a job which takes whole
-- workers down does not bring its neighbours to their limit, those lost before come back spread over some time.
-- The fingerprint is what fingerprints.py makes of the same words.
WITH orphaned AS (
    SELECT
        jobs.*, workers.host, workers.pid, workers.heartbeat_at,
        CASE WHEN jobs.losses > 0 THEN random() * %(spread)s::float8 ELSE 0 END * interval '1 second' AS delay
    FROM {schema}.jobs
    LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
    WHERE jobs.state = 'running' AND (workers.id IS NULL OR workers.stopped_at IS NOT NULL)
    ORDER BY jobs.id
    LIMIT %(limit)s
    FOR UPDATE OF jobs SKIP LOCKED
), requeued AS (
    UPDATE {schema}.jobs
    SET state = CASE WHEN orphaned.delay > interval '0' THEN 'scheduled' ELSE 'pending' END,
        run_at = statement_timestamp() + orphaned.delay,
        excused = jobs.excused + 1,
        losses = jobs.losses + 1,
        worker_id = NULL,
        started_at = NULL,
        cancel_requested_at = NULL
    FROM orphaned
    WHERE jobs.id = orphaned.id AND orphaned.losses + 1 < %(max_losses)s
), given_up AS (
    DELETE FROM {schema}.jobs
    USING orphaned
    WHERE jobs.id = orphaned.id AND orphaned.losses + 1 >= %(max_losses)s
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried,
         outcome, queue, job_class, arguments, unique_key, source, trace_context,
         error_type, error_message, fingerprint)
    SELECT
        id, attempt, statement_timestamp(), started_at, enqueued_at, run_at, worker_id, retries, priority,
        losses + 1 < %(max_losses)s,
        'lost', queue, job_class, arguments, unique_key, source, trace_context,
        'WorkerLost',
        CASE
            WHEN host IS NULL THEN format('worker %%s is not known', worker_id)
            ELSE format(
                'worker %%s/%%s was last heard of %%s s before this was recorded',
                host, pid, round(extract(epoch FROM statement_timestamp() - heartbeat_at)::numeric, 1)
            )
        END || format('; loss %%s of %%s', losses + 1, %(max_losses)s),
        left(md5(concat_ws(chr(10), job_class, 'WorkerLost', '', '')), 12)
    FROM orphaned
), woken AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM (SELECT DISTINCT queue FROM orphaned) AS touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting)
)
SELECT
    id, attempt, losses + 1 < %(max_losses)s AS retried,
    date_bin('1 minute', statement_timestamp(), to_timestamp(0)) AS minute, queue, job_class,
    width_bucket(started_at - run_at, {bounds}) AS wait_bucket,
    (SELECT count(*) FROM woken) AS notified
FROM orphaned
