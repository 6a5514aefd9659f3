-- The ids, classes and last attempts of unfinished jobs that a filter selects, in the order and by the pages of
-- observe_unfinished.sql.
SELECT id, job_class, attempt, NULL::timestamptz AS ended_at
FROM {schema}.jobs
WHERE (%(below)s::bigint IS NULL OR id < %(below)s)
    AND {condition}
ORDER BY id DESC
LIMIT %(limit)s
