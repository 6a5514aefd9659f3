-- Notes that a build came, where no other live worker has it, and another one came last. Whoever registers holds the lock of
-- deploys, so of two workers that come at once the second one sees the first.
INSERT INTO {schema}.deploys (build)
SELECT %(build)s::text
WHERE NOT EXISTS (
        SELECT FROM {schema}.workers
        WHERE stopped_at IS NULL AND build = %(build)s::text AND id <> %(worker_id)s::bigint
    )
    AND %(build)s::text IS DISTINCT FROM (SELECT build FROM {schema}.deploys ORDER BY id DESC LIMIT 1)
