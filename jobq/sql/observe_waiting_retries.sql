SELECT act, since, left_by, selection, build, is_younger
FROM {schema}.waiting_retries
ORDER BY act
LIMIT 100
