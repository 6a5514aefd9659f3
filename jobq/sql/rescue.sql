-- Takes running jobs from workers that are gone: the attempt ends as lost, and the job goes back to the queue
-- until it has been lost `max_losses` times; then it rests in the history. SKIP LOCKED, and ordered by
-- id: any number of workers may rescue at once, and none waits for a late report.
-- Only attempts that are known to have begun count as losses: those whose begin was committed, and those that the worker
-- told of with its last heartbeat. Of the others nobody knows: they have no time at which they started, and the limit is
-- no nearer for them. What a worker had that was stopping was cut off by the stop: that counts no loss, and proves nothing.
-- Otherwise the job is suspected from then on, and runs apart (see begin.sql).
-- What was lost together is no proof against each. Of jobs that had begun beside others none counts a loss; of those that
-- ran apart, several at once count losses but for the last one, which needs a job that was alone (see isolation.py).
-- Others may have rescued some already: so those that had begun come first, and the last heartbeat says how many they were.
-- So that a job which takes whole workers down does not meet the same neighbours, those lost before come back spread
-- over some time.
-- A job whose end somebody has asked for does not run again: it ends here, as cancelled.
-- The fingerprint is what fingerprints.py makes of the same words.
-- Looked for by claims, between those of the workers that are alive: among these lies whatever an open transaction
-- elsewhere keeps from being vacuumed. A job that another rescue has put back, and that runs again by the time its row
-- is locked, is no orphan: so the attempt has to be the one that was seen.
-- A job that went through a gate frees its place by its rescue. Where the gate waits after a loss, it is rescued later.
-- Later arguments of a job that was enqueued again meanwhile are put in place as in retry.sql.
WITH gap AS (
    SELECT after, lead(after, 1, 9223372036854775807) OVER (ORDER BY after) AS until
    FROM (
        SELECT -9223372036854775807 UNION ALL SELECT id FROM {schema}.workers WHERE stopped_at IS NULL
    ) AS bound (after)
), seen AS MATERIALIZED (
    SELECT id, attempt, worker_id
    FROM {schema}.jobs
    WHERE id = ANY (ARRAY(
            SELECT unnest(job_ids)
            FROM gap
            JOIN {schema}.claims ON claims.worker_id > gap.after AND claims.worker_id < gap.until
        ))
        AND worker_id IS NOT NULL
        AND worker_id NOT IN (SELECT id FROM {schema}.workers WHERE stopped_at IS NULL)
        AND (gate IS NULL OR NOT EXISTS (
            SELECT
            FROM {schema}.gates
            JOIN {schema}.workers AS gone ON gone.id = jobs.worker_id
            WHERE gates.name = jobs.gate
                AND gone.stop_reason = 'silent'
                AND gone.stopped_at > statement_timestamp() - gates.loss_wait_seconds * interval '1 second'
        ))
), known AS MATERIALIZED (
    SELECT
        seen.*, workers.host, workers.pid, workers.heartbeat_at, workers.stopping_at IS NOT NULL AS was_stopping, began.began_at,
        jobs.begun_at IS NOT NULL AS ran_apart,
        greatest(
            count(began.began_at) OVER worker,
            (
                SELECT count(*)
                FROM jsonb_object_keys(
                    CASE WHEN jsonb_typeof(workers.status -> 'begun') = 'object' THEN workers.status -> 'begun' ELSE '{}' END
                )
            )
        ) AS begun,
        count(jobs.begun_at) OVER worker AS apart
    FROM seen
    JOIN {schema}.jobs USING (id, attempt, worker_id)
    LEFT JOIN {schema}.workers ON workers.id = seen.worker_id
    CROSS JOIN LATERAL (
        SELECT coalesce(
            jobs.begun_at,
            CASE WHEN workers.status #> ARRAY['begun', jobs.id::text, '0'] = to_jsonb(jobs.attempt)
                AND jsonb_typeof(workers.status #> ARRAY['begun', jobs.id::text, '1']) = 'number' THEN greatest(
                workers.heartbeat_at
                - least((workers.status #>> ARRAY['begun', jobs.id::text, '1'])::numeric, 1000000000)::float8
                * interval '1 second',
                jobs.started_at
            ) END
        ) AS began_at
    ) AS began
    WINDOW worker AS (PARTITION BY seen.worker_id)
), judged AS MATERIALIZED (
    SELECT
        known.*,
        CASE
            WHEN began_at IS NULL OR was_stopping THEN 0
            WHEN (CASE WHEN ran_apart THEN apart ELSE begun END) = 1 THEN 1
            WHEN ran_apart AND jobs.losses < %(max_losses)s - 1 THEN 1
            ELSE 0
        END AS loss
    FROM known
    JOIN {schema}.jobs USING (id, attempt, worker_id)
), orphaned AS (
    SELECT
        jobs.*, host, pid, heartbeat_at, was_stopping, began_at, loss,
        jobs.cancel_requested_at IS NOT NULL AS cancelled,
        jobs.cancel_requested_at IS NULL AND (loss = 0 OR jobs.losses < %(max_losses)s - 1) AS retried,
        CASE WHEN jobs.losses > 0 AND began_at IS NOT NULL AND NOT was_stopping THEN random() * %(spread)s::float8 ELSE 0 END
        * interval '1 second' AS delay
    FROM judged
    JOIN {schema}.jobs USING (id, attempt, worker_id)
    ORDER BY began_at IS NULL, jobs.id
    LIMIT %(limit)s
    FOR UPDATE OF jobs SKIP LOCKED
), requeued AS (
    UPDATE {schema}.jobs
    SET is_due = CASE WHEN orphaned.delay > interval '0' THEN false WHEN jobs.gate IS NULL THEN true END,
        place = {place_kept},
        run_at = statement_timestamp() + orphaned.delay,
        excused = least(jobs.excused, 2147483646) + 1,
        losses = least(jobs.losses, 2147483646) + orphaned.loss,
        suspected = CASE WHEN orphaned.was_stopping THEN jobs.suspected ELSE true END,
        begun_at = NULL,
        worker_id = NULL,
        started_at = NULL,
        progress = NULL
    FROM orphaned
    WHERE jobs.id = orphaned.id AND orphaned.retried
    RETURNING jobs.id, jobs.follow_up
), given_up AS (
    DELETE FROM {schema}.jobs
    USING orphaned
    WHERE jobs.id = orphaned.id AND NOT orphaned.retried
), told AS (
    SELECT
        orphaned.*, statement_timestamp() AS ended_at, CASE WHEN cancelled THEN 'cancelled' ELSE 'lost' END AS outcome,
        CASE WHEN cancelled THEN format('cancelled by %%s; ', cancel_requested_by) ELSE '' END
        || CASE
            WHEN host IS NULL THEN format('worker %%s is not known', worker_id)
            ELSE format(
                'worker %%s/%%s was last heard of %%s s before this was recorded',
                host, pid, round(extract(epoch FROM statement_timestamp() - heartbeat_at)::numeric, 1)
            )
        END || CASE
            WHEN was_stopping THEN '; it was stopping, so this does not count as a loss'
            WHEN began_at IS NULL THEN '; whether this attempt had begun is not known, so it does not count as a loss'
            WHEN loss = 0 THEN '; other jobs were lost with it, so this does not count as a loss, and it will run apart'
            ELSE format('; loss %%s of %%s', least(losses, 2147483646) + 1, %(max_losses)s)
        END AS error_message
    FROM orphaned
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried,
         outcome, queue, job_class, arguments, unique_key, source, trace_context,
         error_type, error_message, timeout, has_abort_hook, gate, lane, fingerprint)
    SELECT
        id, attempt, ended_at, began_at, enqueued_at, run_at, worker_id, retries, priority, retried,
        outcome, queue, job_class, arguments, unique_key, source, trace_context,
        'WorkerLost', error_message, timeout, has_abort_hook, gate, lane,
        CASE WHEN NOT cancelled AND loss > 0 THEN left(md5(concat_ws(chr(10), job_class, 'WorkerLost', '', '')), 12) END
    FROM told
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, attempt, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(seen)
            FROM (
                SELECT attempt, outcome, retried, began_at AS started_at, ended_at, 'WorkerLost' AS error_type, error_message
            ) AS seen
        )
    FROM told
    WHERE has_abort_hook
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT DISTINCT {touched} FROM orphaned WHERE retried OR gate IS NOT NULL) AS touched
    WHERE {somebody_waits}
)
SELECT
    id, attempt, retried, has_abort_hook, outcome, job_class, queue, retries, excused, error_message,
    date_part('epoch', delay) AS delay, date_bin('1 minute', ended_at, to_timestamp(0)) AS minute,
    width_bucket(date_part('epoch', began_at - run_at), {bounds}) AS wait_bucket, date_part('epoch', began_at - run_at) AS waited,
    (SELECT count(*) FROM woken) AS notified,
    (
        SELECT CASE WHEN count(*) > 0 THEN {schema}.follow_jobs(array_agg(id)) END
        FROM requeued
        WHERE follow_up IS NOT NULL
    ) AS followed
FROM told
