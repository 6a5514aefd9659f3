-- The arguments of one job as they are stored.
SELECT arguments::text FROM {schema}.jobs WHERE id = %(id)s
UNION ALL
(SELECT arguments::text FROM {schema}.results WHERE id = %(id)s AND NOT retried LIMIT 1)
LIMIT 1
