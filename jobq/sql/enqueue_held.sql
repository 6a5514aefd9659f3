-- Adds jobs whose classes have rules for a key that is held, by a function of the database. Of a job that holds a key
-- the function does not tell the arguments, for it acts for the owner: who may read them anyway gets them here.
SELECT
    place, verdict, (job).id, (job).state,
    (extract(epoch FROM (job).enqueued_at) * 1000000)::bigint, (extract(epoch FROM (job).run_at) * 1000000)::bigint,
    (extract(epoch FROM (job).expires_at) * 1000000)::bigint,
    (job).queue, (job).priority::integer, (job).attempt, (job).retries,
    (extract(epoch FROM (job).started_at) * 1000000)::bigint, (job).timeout::float8,
    CASE WHEN (job).arguments IS NULL THEN {schema}.arguments_of((job).id)::text END AS arguments
FROM {schema}.enqueue_by_rules(%(jobs)s::text::jsonb)
