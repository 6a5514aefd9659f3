-- How many attempts ended in which way, counted no further than the limit.
SELECT outcome, count(*) AS attempts
FROM (SELECT outcome FROM {schema}.results LIMIT %(limit)s) AS counted
GROUP BY outcome
