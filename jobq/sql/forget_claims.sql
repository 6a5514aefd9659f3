-- Removes the claims of workers that are gone, as far as these hold none of their jobs any more: then nobody needs them to
-- find what runs. A claim that is still on its way is seen with its jobs, or not at all.
DELETE FROM {schema}.claims
WHERE NOT EXISTS (SELECT FROM {schema}.workers WHERE workers.id = claims.worker_id AND stopped_at IS NULL)
    AND NOT EXISTS (
        SELECT FROM {schema}.jobs WHERE jobs.id = ANY (claims.job_ids) AND jobs.worker_id = claims.worker_id
    )
RETURNING id
