-- What decides when an unfinished job runs: its queue, the workers that work it and know its class, and what goes before
-- it, counted no further than the limit. A worker's choice of queues may hold patterns.
SELECT
    jobs.state, jobs.attempt, jobs.queue, jobs.job_class, jobs.priority, jobs.unique_key, jobs.cancel_requested_at,
    jobs.run_at, jobs.started_at, jobs.follow_up IS NOT NULL AS is_followed,
    {schema}.is_impossible(jobs.arguments, %(longest)s) AS is_impossible,
    extract(epoch FROM jobs.run_at - statement_timestamp())::float8 AS due_in_seconds,
    queues.paused_at, queues.paused_by, queues.pause_reason,
    {owner_name} AS owner,
    owner.stopped_at IS NOT NULL AS is_owner_gone,
    extract(epoch FROM statement_timestamp() - owner.heartbeat_at)::float8 AS owner_silent_seconds,
    alive.workers, alive.working_it, alive.knowing_it, alive.silent_seconds, alive.processes, alive.busy,
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM {schema}.jobs AS other
            WHERE {pending}
                AND other.queue = jobs.queue
                AND (-other.priority, other.id) < (-jobs.priority, jobs.id)
            ORDER BY -other.priority, other.id -- along the index: a bitmap would first read all of it
            LIMIT %(limit)s
        ) AS before
    ) AS ahead,
    (
        SELECT coalesce(sum(successful + errored + cancelled + deferred + lost), 0)::bigint
        FROM {schema}.metrics
        WHERE metrics.queue = jobs.queue AND minute >= statement_timestamp() - %(rate_seconds)s * interval '1 second'
    ) AS ended_lately
FROM {schema}.jobs
LEFT JOIN {schema}.queues ON queues.name = jobs.queue
LEFT JOIN {schema}.workers AS owner ON owner.id = jobs.worker_id
CROSS JOIN LATERAL (
    SELECT
        count(*) AS workers,
        count(*) FILTER (WHERE works) AS working_it,
        count(*) FILTER (WHERE works AND knows) AS knowing_it,
        extract(
            epoch FROM statement_timestamp() - max(live.heartbeat_at) FILTER (WHERE works AND knows)
        )::float8 AS silent_seconds,
        coalesce(sum(processes) FILTER (WHERE works AND knows), 0)::bigint AS processes,
        (
            SELECT count(*)
            FROM {schema}.jobs AS running
            WHERE {running} AND running.worker_id = ANY (array_agg(live.id) FILTER (WHERE works AND knows))
        ) AS busy
    FROM (
        SELECT
            workers.id, workers.processes, workers.heartbeat_at,
            {schema}.works(workers.queues, jobs.queue) AS works,
            EXISTS (
                SELECT
                FROM jsonb_array_elements(workers.classes) AS class
                WHERE class ->> 'name' = jobs.job_class OR class -> 'aliases' ? jobs.job_class
            ) AS knows
        FROM {schema}.workers
        WHERE workers.stopped_at IS NULL
    ) AS live
) AS alive
WHERE jobs.id = %(id)s
