-- Of reports that found no row to end: how many are of attempts that have been recorded as successful already.
-- Asked only then, which is rare; the way in is the index results_job of each partition.
SELECT count(*)
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS report (id, attempt)
WHERE EXISTS (
    SELECT FROM {schema}.results
    WHERE results.id = report.id
        AND results.attempt = report.attempt
        AND results.worker_id = %(worker_id)s
        AND results.outcome = 'successful'
)
