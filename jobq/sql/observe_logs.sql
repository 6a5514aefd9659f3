-- The lines of one attempt, in the order in which they were written. What somebody wrote there by hand is cut: a worker
-- writes no row that is longer.
SELECT at, began_at, job_id, attempt, said, job_class, queue, left(lines, 400000) AS lines
FROM {schema}.logs
WHERE job_id = %(id)s AND attempt = %(attempt)s
ORDER BY at, said
LIMIT 2000
