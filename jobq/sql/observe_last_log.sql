-- The last lines of one attempt.
SELECT at, began_at, job_id, attempt, said, job_class, queue, left(lines, 400000) AS lines
FROM {schema}.logs
WHERE job_id = %(id)s AND attempt = coalesce(
    %(attempt)s::integer, (SELECT max(attempt) FROM {schema}.logs WHERE job_id = %(id)s AND lines <> '')
)
ORDER BY at DESC, said DESC
LIMIT %(limit)s
