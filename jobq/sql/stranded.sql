-- Running jobs of workers that are gone and that nobody has taken over for a while.
SELECT {worker_name} AS name, held.jobs
FROM (
    SELECT worker_id, count(*) AS jobs
    FROM {schema}.jobs
    WHERE {running}
    GROUP BY worker_id
) AS held
LEFT JOIN {schema}.workers ON workers.id = held.worker_id
WHERE workers.id IS NULL
    OR workers.stopped_at < statement_timestamp() - %(after)s * interval '1 second'
ORDER BY held.jobs DESC
LIMIT 20
