-- Which attempts of a job have lines, and how many lines each had said.
SELECT attempt, max(said) AS said, bool_or(lines <> '') AS is_kept
FROM {schema}.logs
WHERE job_id = %(id)s
GROUP BY attempt
ORDER BY attempt
