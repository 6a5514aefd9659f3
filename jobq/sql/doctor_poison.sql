-- Jobs that were lost so often that they rest: each took its process down every time.
SELECT job_class, count(*) AS jobs, max(id) AS example
FROM {schema}.results
WHERE outcome = 'lost' AND NOT retried AND ended_at > statement_timestamp() - %(lately)s * interval '1 second'
GROUP BY job_class
ORDER BY count(*) DESC
LIMIT 10
