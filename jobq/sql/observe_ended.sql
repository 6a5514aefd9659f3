-- How jobs ended: the last attempt of each that is finished.
SELECT id, outcome, attempt, {schema}.readable(value, 1048576) AS value, error_type, left(error_message, 10000) AS error_message
FROM {schema}.results
WHERE id = ANY (%(ids)s::bigint[]) AND NOT retried
