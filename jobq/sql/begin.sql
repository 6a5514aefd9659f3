-- Commits that suspected jobs begin, before they do: if their worker dies then, it is known that they had begun. The same
-- fence as for an ending. A job is suspected too when only its worker knows that processes died before it began.
UPDATE {schema}.jobs
SET begun_at = statement_timestamp(), suspected = true
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS chosen (id, attempt)
WHERE jobs.id = chosen.id
    AND jobs.attempt = chosen.attempt
    AND coalesce(jobs.worker_id, 0) = %(worker_id)s
RETURNING jobs.id, jobs.attempt
