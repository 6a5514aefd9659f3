-- Has jobs that wait go through a gate from now on: they were enqueued before their class had it. Each takes the lane that is
-- given, else the one that an argument of it names. Nothing is done to a job that has started, or has a gate. In the order of
-- ids, as all acts lock.
WITH chosen AS MATERIALIZED (
    SELECT id, is_due, {schema}.lane_of(arguments, %(parameter)s) AS named
    FROM {schema}.jobs
    WHERE id = ANY (%(ids)s::bigint[]) AND worker_id IS NULL AND gate IS NULL AND job_class = ANY (%(classes)s::text[])
    ORDER BY id
    FOR UPDATE
), adopted AS (
    UPDATE {schema}.jobs
    SET gate = %(gate)s,
        lane = coalesce(%(lane)s::text, chosen.named, ''),
        is_due = CASE WHEN NOT chosen.is_due THEN false END
    FROM chosen
    WHERE jobs.id = chosen.id
    RETURNING jobs.id, jobs.attempt
), told AS (
    SELECT pg_notify(%(channel)s, %(gate)s) WHERE EXISTS (SELECT FROM adopted) AND pg_notification_queue_usage() < 0.9
)
SELECT id, attempt, (SELECT count(*) FROM told) AS told FROM adopted ORDER BY id
