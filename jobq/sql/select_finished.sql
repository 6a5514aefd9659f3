-- The ids, classes and last attempts of finished jobs that a filter selects, in the order and by the pages of
-- observe_finished.sql.
SELECT id, job_class, attempt, ended_at
FROM {schema}.results
WHERE NOT retried
    AND (%(below_time)s::timestamptz IS NULL OR (ended_at, id) < (%(below_time)s, %(below)s))
    AND {condition}
ORDER BY ended_at DESC, id DESC
LIMIT %(limit)s
