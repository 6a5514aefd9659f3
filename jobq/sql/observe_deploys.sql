-- The deploys of a period, for charts.
SELECT at, build
FROM {schema}.deploys
WHERE at >= %(since)s AND at < %(until)s
ORDER BY id DESC
LIMIT 100
