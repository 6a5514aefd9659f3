-- When the failures of some groups happened, in steps of a period: for small charts.
SELECT
    fingerprint AS group,
    date_bin(%(step)s::float8 * interval '1 second', ended_at, %(since)s) AS at,
    count(*) AS attempts
FROM {schema}.results
WHERE fingerprint = ANY (%(groups)s::text[])
    AND ended_at >= %(since)s
    AND ended_at < %(until)s
GROUP BY 1, 2
