-- The arguments of one job as they are stored; NULL where they are too large to be read.
SELECT {schema}.bounded_text(arguments, %(longest)s) FROM {schema}.jobs WHERE id = %(id)s
UNION ALL
(SELECT {schema}.bounded_text(arguments, %(longest)s) FROM {schema}.results WHERE id = %(id)s AND NOT retried LIMIT 1)
LIMIT 1
