-- Whether a retry waits whose build lives. The table is nearly always empty.
SELECT EXISTS (SELECT FROM {schema}.waiting_retries WHERE EXISTS (
    SELECT
    FROM {schema}.workers
    WHERE workers.stopped_at IS NULL
        AND CASE
            WHEN waiting_retries.is_younger THEN
                (SELECT max(id) FROM {schema}.deploys WHERE deploys.build = workers.build)
                > (SELECT max(id) FROM {schema}.deploys WHERE deploys.build = waiting_retries.build)
            ELSE workers.build = waiting_retries.build
        END
))
