-- How far running attempts are. Fenced as every change of a running job is.
UPDATE {schema}.jobs
SET progress = report.progress::jsonb || to_jsonb(stored)
FROM
    unnest(%(ids)s::bigint[], %(attempts)s::integer[], %(progress)s::text[]) AS report (id, attempt, progress),
    LATERAL (SELECT report.attempt, statement_timestamp() AS at) AS stored
WHERE jobs.id = report.id
    AND jobs.attempt = report.attempt
    AND coalesce(jobs.worker_id, 0) = %(worker_id)s
