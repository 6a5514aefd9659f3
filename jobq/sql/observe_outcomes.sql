-- How many attempts ended in which way, and how many of them ended their job, counted no further than the limit.
SELECT outcome, count(*) AS attempts, count(*) FILTER (WHERE NOT retried) AS jobs
FROM (SELECT outcome, retried FROM {schema}.results LIMIT %(limit)s) AS counted
GROUP BY outcome
